"""Checkpoints and ImageNet weights: what is kept, read and refused."""

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file
from torchvision.models import resnet18

from face_encryption.training.checkpoint import (
    FORMAT,
    CheckpointError,
    Description,
    as_written,
    load_checkpoint,
    save_checkpoint,
)
from face_encryption.training.cli import train as command
from face_encryption.training.initial import DOWNLOAD, load_backbone
from face_encryption.training.model import Recognizer


def test_checkpoint_round_trip_and_damage(tmp_path: Path) -> None:
    model = Recognizer(3).eval()
    save_checkpoint(tmp_path / "c.safetensors", model, Description(["a", "b", "c"]))
    loaded, description = load_checkpoint(tmp_path / "c.safetensors")
    image = torch.randn(1, 3, 112, 112)
    assert torch.allclose(model(image)[1], loaded(image)[1], atol=0.2)  # of logits up to 64, from weights in fp16
    assert torch.equal(as_written(model)(image)[1], loaded(image)[1])
    assert description.classes == ["a", "b", "c"]
    before = {key: value for key, value in vars(description).items() if key != "training_accuracy"}
    metadata = {"format": FORMAT, "scale": "64.0", "description": json.dumps(before)}
    save_file(load_file(tmp_path / "c.safetensors"), tmp_path / "older.safetensors", metadata)
    assert load_checkpoint(tmp_path / "older.safetensors")[1].training_accuracy == 0
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "c.safetensors").read_bytes()[:1000])
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    for name, message in (("none", "no such"), ("cut", "not a readable"), ("other", "not a face-encryption")):
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(tmp_path / f"{name}.safetensors")


def test_imagenet_weights_are_those_of_torchvision(tmp_path: Path) -> None:
    torch.manual_seed(1)
    imagenet = resnet18().state_dict()
    save_file(imagenet, tmp_path / "imagenet.safetensors")
    model = Recognizer(2)
    load_backbone(tmp_path / "imagenet.safetensors", model)
    assert torch.equal(model.backbone.state_dict()["layer4.1.conv2.weight"], imagenet["layer4.1.conv2.weight"])
    save_file({"conv1.weight": imagenet["conv1.weight"]}, tmp_path / "part.safetensors")
    (tmp_path / "pickle.pth").write_bytes(b"\x80\x04no pickle is read")
    for name, message in (("part.safetensors", "no weights of"), ("pickle.pth", "no ResNet-18"), ("none", "no Res")):
        with pytest.raises(CheckpointError, match=message):
            load_backbone(tmp_path / name, model)


def test_imagenet_weights_are_fetched_or_the_network_is_to_blame(
    data: Path, detector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    given = [str(data), "--recipe", "study", "--detector", str(detector)]
    given += ["--imagenet", "download", "--out", str(tmp_path / "r.safetensors"), "--cache", str(tmp_path / "cache")]
    result = CliRunner().invoke(command, given)
    assert result.exit_code == 1, result.output
    assert "resnet18-f37072fd.pth: cannot be had (" in result.stderr.splitlines()[-1]
    assert not (tmp_path / "r.safetensors").exists()

    kept = tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    imagenet = resnet18().state_dict()
    torch.save(imagenet, kept)
    model = Recognizer(2)
    load_backbone(DOWNLOAD, model)
    assert torch.equal(model.backbone.state_dict()["layer4.1.conv2.weight"], imagenet["layer4.1.conv2.weight"])
    torch.save({"conv1.weight": Path("an object that is no tensor")}, kept)
    with pytest.raises(CheckpointError, match="cannot be had"):
        load_backbone(DOWNLOAD, model)

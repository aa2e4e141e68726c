"""Training on a small layout: faces are cut, a run learns, goes on after an interruption, and says what is wrong."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from safetensors.torch import save_file

from face_encryption.training import train as module
from face_encryption.training.augment import view
from face_encryption.training.cli import train as command
from face_encryption.training.evaluate import thresholds
from face_encryption.training.faces import TEMPLATE, DataError, align, list_photos, load_faces, read_list
from face_encryption.training.model import (
    CheckpointError,
    Description,
    Recognizer,
    load_checkpoint,
    save_checkpoint,
)
from face_encryption.training.train import Config, Trainer, learning_rates, load_data, split_identities


@pytest.fixture(scope="module")
def detector(artifacts: Path) -> Path:
    return artifacts / "detector.onnx"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, astronaut: NDArray[np.uint8]) -> Path:
    """Two identities that differ in colour and orientation, eight photos each; one shows nobody, one is broken."""
    root = tmp_path_factory.mktemp("data") / "photos"
    photo = Image.fromarray(astronaut).crop((100, 0, 356, 256))
    for name in ("ada", "bob"):
        (root / name).mkdir(parents=True)
        for number in range(8):
            changed = ImageEnhance.Brightness(photo).enhance(0.8 + 0.05 * number)
            if name == "bob":
                changed = Image.merge("RGB", changed.transpose(Image.Transpose.FLIP_LEFT_RIGHT).split()[::-1])
            changed.save(root / name / f"{number}.png")
    Image.new("RGB", (64, 64), "blue").save(root / "ada" / "nobody.png")
    (root / "bob" / "broken.jpg").write_bytes(b"no photo")
    return root


def config(data: Path, detector: Path, folder: Path, **changes: object) -> Config:
    options = {"input_size": 32, "epochs": 3, "batch": 4, "out": folder / "r.safetensors", "cache": folder / "cache"}
    return Config(data, detector=detector, **(options | changes))  # type: ignore[arg-type]


def history(config: Config) -> list[dict[str, str]]:
    with config.out.with_suffix(".csv").open() as file:
        return list(csv.DictReader(file))


def test_a_run_learns_and_its_checkpoint_says_what_it_is(data: Path, detector: Path, tmp_path: Path) -> None:
    chosen = config(data, detector, tmp_path, epochs=6, learning_rate=2e-4)
    description = module.train(chosen)
    rows = history(chosen)
    assert [row["epoch"] for row in rows] == list("123456")
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    model, loaded = load_checkpoint(chosen.out)
    assert loaded.classes == ["ada", "bob"]
    assert json.loads(json.dumps(vars(loaded))) == json.loads(json.dumps(vars(description)))
    assert json.loads(loaded.recipe)["epochs"] == 6
    assert loaded.thresholds["0.001"] >= loaded.thresholds["0.01"]
    embedding, logits = model(torch.zeros(2, 3, 32, 32))
    assert torch.allclose(embedding.norm(dim=1), torch.ones(2), atol=1e-5)
    assert logits.shape == (2, 2)


def test_skipped_photos_are_reported(data: Path, detector: Path, tmp_path: Path) -> None:
    faces = load_faces(data, list_photos(data), detector, tmp_path, 48)
    assert faces.faces.shape == (16, 48, 48, 3)
    assert sorted(faces.names) == ["ada"] * 8 + ["bob"] * 8
    skipped = next(tmp_path.glob("*/skipped.csv")).read_text()
    assert re.search(r"ada/nobody\.png,no face", skipped)
    assert re.search(r"bob/broken\.jpg,unreadable", skipped)


def test_an_interrupted_run_ends_like_an_uninterrupted_one(data: Path, detector: Path, tmp_path: Path) -> None:
    whole = config(data, detector, tmp_path / "whole", epochs=4, cache=tmp_path / "cache")
    module.train(whole)
    killed = config(data, detector, tmp_path / "killed", epochs=4, cache=tmp_path / "cache")
    killed.out.parent.mkdir()
    description = Description(["ada", "bob"], 32)

    class KilledError(Exception):
        pass

    class Killed(Trainer):
        def save_state(self) -> None:
            super().save_state()
            if self.epoch == 2:
                raise KilledError

    with pytest.raises(KilledError):
        Killed(killed, load_data(killed, description.crop_margin), description).fit()
    module.train(killed)
    assert [row["epoch"] for row in history(killed)] == list("1234")
    assert float(history(killed)[-1]["loss"]) == pytest.approx(float(history(whole)[-1]["loss"]), rel=0.05)


def test_starting_from_a_checkpoint_of_another_input_size(data: Path, detector: Path, tmp_path: Path) -> None:
    first = config(data, detector, tmp_path, epochs=1)
    module.train(first)
    second = config(data, detector, tmp_path, epochs=1, input_size=48, init=first.out, out=tmp_path / "s.safetensors")
    module.train(second)
    assert load_checkpoint(second.out)[1].input_size == 48


def test_a_teacher_shapes_the_embedding(data: Path, detector: Path, tmp_path: Path, shared: Path) -> None:
    chosen = config(data, detector, tmp_path, epochs=1, teacher=shared / "models" / "sface.onnx")
    faces = load_data(chosen, 0.25).train
    assert faces.teacher is not None
    assert faces.teacher.shape == (len(faces.faces), 128)
    same = faces.teacher @ faces.teacher.T
    assert same[0, 1] > 0.8  # two photos of one person that differ in brightness
    assert module.train(chosen).classes == ["ada", "bob"]


def test_alignment_puts_the_keypoints_on_the_template() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    turned = (TEMPLATE - 56) @ np.array([[0.9, 0.3], [-0.3, 0.9]]) + 110
    for x, y in turned:
        image[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3] = 255
    aligned = np.asarray(align(image, np.vstack([turned, turned[:2]]).astype(np.float32)))
    for x, y in TEMPLATE:
        assert aligned[round(y), round(x)].max() > 150


def test_views() -> None:
    faces = torch.randint(0, 256, (5, 64, 64, 3), dtype=torch.uint8)
    plain = view(faces, 48, 0.25)
    assert plain.shape == (5, 3, 48, 48)
    # At this size the middle of the cut maps pixel to pixel.
    assert torch.allclose(plain, faces[:, 8:56, 8:56].permute(0, 3, 1, 2) / 255, atol=1e-5)
    first, second, third = (view(faces, 48, 0.25, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert first.min() >= 0
    assert first.max() <= 1


def test_thresholds_are_what_the_impostors_reach() -> None:
    impostor = torch.linspace(-1, 1, 10_001)
    found = thresholds(impostor)
    for rate, threshold in found.items():
        assert (impostor >= threshold).float().mean() == pytest.approx(float(rate), abs=2e-4)


def test_split_keeps_every_identity_in_training() -> None:
    train, test = split_identities(["a/1", "a/2", "a/3", "a/4", "a/5", "b/1"])
    assert test == ["a/4"]
    assert train == ["a/1", "a/2", "a/3", "a/5", "b/1"]


def test_learning_rate_rises_and_falls(tmp_path: Path) -> None:
    rates = learning_rates(Config(tmp_path, learning_rate=1.0), 100)
    assert rates[0] < rates[4]
    assert rates.argmax() < 10
    assert rates[-1] < 0.01


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: root / "missing", "no such folder"),
        (lambda root: (root / "empty").mkdir() or root / "empty", "no photos"),
    ],
)
def test_bad_folders(make: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        list_photos(make(tmp_path))  # type: ignore[operator]


@pytest.mark.parametrize(("content", "message"), [("ada/9.png\n", ":1: no photo"), ("\n", "empty"), ("x\n", ":1:")])
def test_bad_lists(content: str, message: str, data: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(content)
    with pytest.raises(DataError, match=message):
        read_list(tmp_path / "list.txt", data)


def test_checkpoint_round_trip_and_damage(tmp_path: Path) -> None:
    model = Recognizer(3).eval()
    save_checkpoint(tmp_path / "c.safetensors", model, Description(["a", "b", "c"]), half=False)
    loaded, description = load_checkpoint(tmp_path / "c.safetensors")
    image = torch.randn(1, 3, 64, 64)
    assert torch.equal(model(image)[1], loaded(image)[1])
    assert description.classes == ["a", "b", "c"]
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "c.safetensors").read_bytes()[:1000])
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    for name, message in (("none", "no such"), ("cut", "not a readable"), ("other", "not a face-encryption")):
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(tmp_path / f"{name}.safetensors")


def test_command_reports_bad_data_in_one_line(data: Path, detector: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("nobody/1.jpg\n")
    given = [str(data), "--train-list", str(tmp_path / "list.txt"), "--test-list", str(tmp_path / "list.txt")]
    result = CliRunner().invoke(
        command, [*given, "--detector", str(detector), "--out", str(tmp_path / "r.safetensors")]
    )
    assert result.exit_code == 1
    assert result.stderr.strip().splitlines()[-1].startswith("Error: ")
    assert "no photo nobody/1.jpg" in result.stderr
    assert not (tmp_path / "r.safetensors").exists()

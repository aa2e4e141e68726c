"""The folder that an export leaves: complete, small, self-describing, and written whole or not at all."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner

from face_encryption.export.cli import CHECKPOINT, export
from face_encryption.export.pipeline import CLOAK_DEFAULTS, LABEL_DEFAULTS, export_artifacts
from face_encryption.export.validate import Check, ParityError, Validator
from face_encryption.export.weights import with_bodies
from face_encryption.training.checkpoint import Description, load_checkpoint, save_checkpoint
from face_encryption.training.model import Recognizer

ATTACKS = [f"attack-{name}.onnx" for name in ("label", "label-step", "feature", "feature-step-0")]


def metadata(path: Path) -> dict[str, str]:
    model = onnx.load(path, load_external_data=False)
    return {entry.key.removeprefix("face_encryption."): entry.value for entry in model.metadata_props}


def test_one_copy_of_the_weights(artifacts: Path) -> None:
    model, _ = load_checkpoint(CHECKPOINT)
    weights = sum(parameter.numel() * 4 for parameter in model.parameters())
    assert sum(file.stat().st_size for file in artifacts.iterdir()) <= 1.15 * weights
    assert {file.name for file in artifacts.iterdir()} == {"detector.onnx", "recognizer.onnx", "weights.bin", *ATTACKS}


def test_loading_prints_nothing(
    artifacts: Path, float_artifacts: Path, printed_on_loading: Callable[[Path], str]
) -> None:
    assert [printed_on_loading(folder) for folder in (artifacts, float_artifacts)] == ["", ""]


@pytest.mark.parametrize("name", ["detector.onnx", "recognizer.onnx", *ATTACKS])
def test_only_standard_operators(artifacts: Path, name: str) -> None:
    model = onnx.load(artifacts / name, load_external_data=False)
    assert {(entry.domain, entry.version) for entry in model.opset_import} == {("", 18)}
    nodes = [node for graph in with_bodies(model.graph) for node in graph.node]
    assert {node.domain for node in nodes} == {""}
    assert not [node.op_type for node in nodes if node.op_type.startswith("Random")]


@pytest.mark.parametrize("name", ["recognizer.onnx", *ATTACKS])
def test_graphs_describe_themselves(artifacts: Path, name: str) -> None:
    _, description = load_checkpoint(CHECKPOINT)
    found = metadata(artifacts / name)
    assert json.loads(found["classes"]) == description.classes
    assert json.loads(found["thresholds"]) == description.thresholds
    assert json.loads(found["mean"]) == list(description.mean)
    assert float(found["crop_margin"]) == description.crop_margin
    assert int(found["input_size"]) == description.input_size
    assert found["checkpoint_sha256"] == metadata(artifacts / "recognizer.onnx")["checkpoint_sha256"]
    assert {"version", "std", "licence", "training_data", "format_version", "kind"} <= set(found)
    if name != "recognizer.onnx":
        assert found["arithmetic"] == "int8"
        assert json.loads(found["defaults"]) == (LABEL_DEFAULTS if "label" in name else CLOAK_DEFAULTS)


def test_a_graph_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def differ(self: Validator, name: str) -> None:
        self.checks.append(Check(name, "embedding", 1.0, 1e-4))

    monkeypatch.setattr(Validator, "recognizer", differ)
    with pytest.raises(ParityError, match=r"recognizer\.onnx: embedding is 1"):
        export_artifacts(CHECKPOINT, tmp_path / "artifacts")
    assert list(tmp_path.iterdir()) == []


def test_command_replaces_an_earlier_export(tmp_path: Path) -> None:
    out, checkpoint = tmp_path / "artifacts", tmp_path / "own.safetensors"
    shutil.copy(CHECKPOINT, checkpoint)  # without the ranges that lie beside it
    out.mkdir()
    for name in ("attack-label-8.onnx", "notes.txt"):  # what earlier versions wrote, and what is not ours
        (out / name).write_text("before")
    arguments = ["--checkpoint", str(checkpoint), "--out", str(out), "--precision", "int8"]
    result = CliRunner().invoke(export, arguments)
    assert result.exit_code == 0, result.output
    assert {path.name for path in out.iterdir()} == {
        "detector.onnx",
        "recognizer.onnx",
        "weights.bin",
        "notes.txt",
        *ATTACKS,
    }
    assert metadata(out / "detector.onnx")["kind"] == "detector"
    assert metadata(out / "recognizer.onnx")["precision"] == "int8"
    assert metadata(out / "attack-feature.onnx")["arithmetic"] == "fp32"
    assert (out / "weights.bin").stat().st_size <= 9.5e6  # one copy for all graphs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--checkpoint", "missing.safetensors"], "no such checkpoint"),
        (["3"], "unexpected extra argument"),
    ],
)
def test_command_says_what_is_wrong_in_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(export, [*arguments, "--out", str(tmp_path / "artifacts")])
    assert result.exit_code != 0
    assert message in result.stderr.strip().splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_without_thresholds_is_refused(tmp_path: Path) -> None:
    checkpoint = tmp_path / "c.safetensors"
    save_checkpoint(checkpoint, Recognizer(2), Description(["ada", "bob"], 97))
    result = CliRunner().invoke(export, ["--checkpoint", str(checkpoint), "--out", str(tmp_path / "artifacts")])
    assert result.exit_code == 1
    assert "says no threshold" in result.stderr
    assert list(tmp_path.iterdir()) == [checkpoint]


def test_detector_alone(tmp_path: Path) -> None:
    result = CliRunner().invoke(export, ["--detector-only", "--out", str(tmp_path)])
    assert result.exit_code == 0
    assert [file.name for file in tmp_path.iterdir()] == ["detector.onnx"]

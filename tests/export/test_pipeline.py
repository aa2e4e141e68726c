"""The folder that an export leaves: complete, small, self-describing, and written whole or not at all."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from click.testing import CliRunner

from face_encryption.export import pipeline
from face_encryption.export.cli import CHECKPOINT, export
from face_encryption.export.defaults import CLOAK_DEFAULTS, LABEL_DEFAULTS
from face_encryption.export.graph.weights import with_bodies
from face_encryption.export.manifest import sha256
from face_encryption.export.pipeline import export_artifacts, ranges_at_hand
from face_encryption.export.quantize.maps import RangesError
from face_encryption.export.validate import Check, ParityError, Validator
from face_encryption.runtime.onnx_runtime import ort
from face_encryption.training.checkpoint import Description, load_checkpoint, save_checkpoint
from face_encryption.training.model import Recognizer

ATTACKS = ("label", "label-step", "feature-begin", "feature-step-0", "feature-step-1", "feature-end")
GRAPHS = [f"attack-{name}.onnx" for name in (*ATTACKS, "feature-6")]
GRAPHS += ["cloak-reference.onnx", "detector.onnx", "recognizer.onnx"]
FILES = {"manifest.json", "weights.bin", *GRAPHS}


def metadata(path: Path) -> dict[str, str]:
    model = onnx.load(path, load_external_data=False)
    return {entry.key.removeprefix("face_encryption."): entry.value for entry in model.metadata_props}


def manifest_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "manifest.json").read_text()))


def test_one_copy_of_the_weights(artifacts: Path) -> None:
    model, _ = load_checkpoint(CHECKPOINT)
    weights = sum(parameter.numel() * 2 for parameter in model.parameters())
    others = (CHECKPOINT.with_name("mobilefacenet.onnx")).stat().st_size  # as fp16, and as bytes for both ways
    assert (artifacts / "weights.bin").stat().st_size <= 1.02 * weights + 2.3 * others
    assert sum(file.stat().st_size for file in artifacts.iterdir()) <= 36e6
    assert {file.name for file in artifacts.iterdir()} == FILES


def test_loading_prints_nothing(artifacts: Path, printed_on_loading: Callable[[Path], str]) -> None:
    assert printed_on_loading(artifacts) == ""


@pytest.mark.parametrize("name", GRAPHS)
def test_only_standard_operators(artifacts: Path, name: str) -> None:
    model = onnx.load(artifacts / name, load_external_data=False)
    assert {(entry.domain, entry.version) for entry in model.opset_import} == {("", 18)}
    nodes = [node for graph in with_bodies(model.graph) for node in graph.node]
    assert {node.domain for node in nodes} == {""}
    assert not [node.op_type for node in nodes if node.op_type.startswith("Random")]


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_say_what_they_are(artifacts: Path, name: str) -> None:
    kind = name.removesuffix(".onnx")
    kind = re.sub(r"-\d+$", "" if "step" in kind else "-unrolled", kind)
    checkpoint = {} if kind == "detector" else {"checkpoint_sha256": sha256(CHECKPOINT)}
    assert metadata(artifacts / name) == {"kind": kind} | checkpoint
    assert manifest_of(artifacts)["graphs"][name.removesuffix(".onnx")]["kind"] == kind


def test_the_manifest_describes_the_folder(artifacts: Path) -> None:
    _, description = load_checkpoint(CHECKPOINT)
    found = manifest_of(artifacts)
    assert found["format"] == 8
    files = {name: (sha256(artifacts / name), (artifacts / name).stat().st_size) for name in FILES - {"manifest.json"}}
    assert {name: (each["sha256"], each["bytes"]) for name, each in found["files"].items()} == files
    recognizer = found["recognizer"]
    for key in ("classes", "thresholds", "crop_margin", "input_size", "training_data"):
        assert recognizer[key] == getattr(description, key)
    assert (recognizer["embedding"], recognizer["arithmetic"]) == (512, "int8")
    assert found["surrogates"] == [
        {"name": "mobilefacenet", "embedding": 192, "thresholds": {"0.01": 0.3565}},
        {"name": "recognizer", "embedding": 512, "thresholds": description.thresholds},
    ]
    assert found["match"]["far"] in description.thresholds
    assert found["cloak"] == {"turns": [0, 0, 1], **CLOAK_DEFAULTS}
    assert found["label"] == LABEL_DEFAULTS
    assert found["checkpoint_sha256"] == sha256(CHECKPOINT)
    assert all(each.keys() == {"what", "licence", "source", "sha256"} for each in found["licences"])


def test_the_manifest_describes_the_graphs(artifacts: Path) -> None:
    graphs = manifest_of(artifacts)["graphs"]
    assert {graph["file"] for graph in graphs.values()} == set(GRAPHS)
    for graph in graphs.values():
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = ort.InferenceSession(artifacts / graph["file"], options, providers=["CPUExecutionProvider"])
        for said, values in ((graph["inputs"], session.get_inputs()), (graph["outputs"], session.get_outputs())):
            assert [(each["name"], each["shape"]) for each in said] == [(each.name, each.shape) for each in values]
            names = [each.type.replace("float", "float32") for each in values]
            assert [f"tensor({each['dtype']})" for each in said] == names
    face = {"name": "face", "dtype": "uint8", "shape": ["S", "S", 3]}
    assert graphs["recognizer"]["inputs"] == [face]
    assert graphs["cloak-reference"]["outputs"] == [{"name": "reference", "dtype": "float32", "shape": [704]}]
    assert [graphs[f"attack-feature-step-{turn}"]["turn"] for turn in (0, 1)] == [0, 1]


def test_a_graph_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def differ(self: Validator, name: str) -> None:
        self.checks.append(Check(name, "embedding", 1.0, 1e-4))

    monkeypatch.setattr(Validator, "recognizer", differ)
    for specs in ("label_specs", "feature_specs"):  # of all graphs two: each takes a while
        monkeypatch.setattr(pipeline, specs, lambda *_: [])
    with pytest.raises(ParityError, match=r"recognizer\.onnx: embedding is 1"):
        export_artifacts(CHECKPOINT, tmp_path / "artifacts", arithmetic="fp32")
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_without_ranges_is_attacked_in_floats(tmp_path: Path) -> None:
    assert ranges_at_hand(CHECKPOINT, sha256(CHECKPOINT), None).keys() > {"label", "feature"}
    assert ranges_at_hand(CHECKPOINT, sha256(CHECKPOINT), "fp32") == {}
    assert ranges_at_hand(tmp_path / "own.safetensors", "abc", None) == {}
    with pytest.raises(RangesError, match="--calibrate"):
        ranges_at_hand(tmp_path / "own.safetensors", "abc", "int8")


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

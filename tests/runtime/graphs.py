"""Graph files that do nothing, for tests of what their metadata says."""

from pathlib import Path

import onnx
from onnx import TensorProto, helper

from face_encryption.runtime.artifacts import FORMAT_VERSION

CLOAK_DEFAULTS = (
    '{"strength": {"low": [{"budget": 0.02, "clamp": 10}],'
    ' "medium": [{"budget": 0.05, "clamp": 20}, {"budget": 0.07, "clamp": 20}, {"budget": 0.08, "clamp": 30}],'
    ' "high": [{"budget": 0.1, "clamp": 40}]}, "effort": {"fast": {"steps": 2}, "normal": {"steps": 4}}}'
)
LABEL_DEFAULTS = (
    '{"epsilon": 8, "strength": {"low": 4, "medium": 8, "high": 12}, "momentum": 1, "diversity": 0.5,'
    ' "effort": {"fast": {"steps": 2, "step_size": 4}, "normal": {"steps": 4, "step_size": 2}}}'
)
CLOAK = {
    "kind": "attack-feature",
    "format_version": FORMAT_VERSION,
    "checkpoint_sha256": "abc",
    "surrogates": '["ours"]',
    "defaults": CLOAK_DEFAULTS,
}
LABEL = {
    "kind": "attack-label",
    "format_version": FORMAT_VERSION,
    "checkpoint_sha256": "abc",
    "defaults": LABEL_DEFAULTS,
}
RECOGNIZER = {
    "kind": "recognizer",
    "format_version": FORMAT_VERSION,
    "checkpoint_sha256": "abc",
    "classes": '["Ada", "Grace"]',
    "crop_margin": "0.25",
    "thresholds": '{"0.01": 0.35}',
}


def graph_file(path: Path, metadata: dict[str, str]) -> Path:
    """Write a valid graph with this metadata."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, []) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "nothing", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    helper.set_model_props(model, {f"face_encryption.{key}": value for key, value in metadata.items()})
    onnx.save(model, path)
    return path


def artifacts_folder(
    folder: Path,
    recognizer: dict[str, str] = RECOGNIZER,
    cloak: dict[str, str] = CLOAK,
    label: dict[str, str] = LABEL,
) -> Path:
    """Write a folder with a recognizer and two attacks that have the right metadata but compute nothing."""
    folder.mkdir(exist_ok=True)
    graph_file(folder / "recognizer.onnx", recognizer)
    graph_file(folder / "attack-feature.onnx", cloak)
    graph_file(folder / "attack-label.onnx", label)
    return folder

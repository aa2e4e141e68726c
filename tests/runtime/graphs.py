"""Graph files that do nothing, for tests of what their metadata says."""

from pathlib import Path

import onnx
from onnx import TensorProto, helper

from face_encryption.runtime.artifacts import FORMAT_VERSION

ATTACK = {
    "kind": "attack-label",
    "format_version": FORMAT_VERSION,
    "checkpoint_sha256": "abc",
    "decoys": "[[0.6, 0.8], [0.8, -0.6]]",
    "defaults": '{"epsilon": 8, "strength": {"low": 4, "medium": 8, "high": 12}, "momentum": 1, "diversity": 0.5,'
    ' "perceptual": 1, "effort": {"normal": {"steps": 2, "step_size": 2}}}',
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


def artifacts_folder(folder: Path, recognizer: dict[str, str] = RECOGNIZER, attack: dict[str, str] = ATTACK) -> Path:
    """Write a folder with a recogniser and two attacks that have the right metadata but compute nothing."""
    folder.mkdir(exist_ok=True)
    graph_file(folder / "recognizer.onnx", recognizer)
    for kind in ("label", "feature"):
        graph_file(folder / f"attack-{kind}.onnx", attack | {"kind": f"attack-{kind}"})
    return folder

"""Folders of artifacts whose manifest is right and whose graphs do nothing."""

import hashlib
import json
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

Json = dict[str, Any]

CLOAK_DEFAULTS: Json = {
    "turns": [0],
    "strength": {
        "low": [{"budget": 0.02, "clamp": 10}],
        "medium": [{"budget": 0.05, "clamp": 20}, {"budget": 0.07, "clamp": 20}, {"budget": 0.08, "clamp": 30}],
        "high": [{"budget": 0.1, "clamp": 40}],
    },
    "effort": {"fast": {"steps": 2}, "normal": {"steps": 4}},
}
LABEL_DEFAULTS: Json = {
    "epsilon": 8,
    "strength": {"low": 4, "medium": 8, "high": 12},
    "effort": {"fast": {"steps": 2, "step_size": 4}, "normal": {"steps": 4, "step_size": 2}},
    "momentum": 1,
    "diversity": 0.5,
}
OWN: Json = {"name": "recognizer", "embedding": 512, "thresholds": {"0.01": 0.35}}
OTHER: Json = {"name": "other", "embedding": 192, "thresholds": {"0.01": 0.4}}
MANIFEST: Json = {
    "format": 8,
    "version": "0.1.0",
    "recognizer": {
        "input_size": 112,
        "embedding": 512,
        "classes": ["Ada", "Grace"],
        "thresholds": {"0.01": 0.35, "0.001": 0.45},
        "crop_margin": 0.25,
    },
    "surrogates": [OWN],
    "match": {"far": "0.01", "margin": 0.05},
    "detector": {"score": 0.5, "unsure": 0.4},
    "cloak": CLOAK_DEFAULTS,
    "label": LABEL_DEFAULTS,
    "licences": [],
    "checkpoint_sha256": "abc",
}
STEP = "attack-feature-step"
ENDS = ("attack-feature-begin", "attack-feature-end")
KINDS = (*ENDS, STEP, "attack-label", "cloak-reference", "detector", "recognizer")


def graph_file(path: Path, kind: str, checkpoint: str = "abc") -> Path:
    """Write a valid graph that says it is of this kind."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, []) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "nothing", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    facts = {"kind": kind, "checkpoint_sha256": checkpoint}
    helper.set_model_props(model, {f"face_encryption.{key}": value for key, value in facts.items()})
    onnx.save(model, path)
    return path


def artifacts_folder(folder: Path, **changes: Any) -> Path:
    """Write a folder with a recognizer and two attacks; `changes` take the place of what its manifest says."""
    folder.mkdir(exist_ok=True)
    for kind in KINDS:
        graph_file(folder / f"{STEP}-0.onnx" if kind == STEP else folder / f"{kind}.onnx", kind)
    (folder / "weights.bin").write_bytes(bytes(2_000_000))
    return describe(folder, MANIFEST | changes)


def describe(folder: Path, manifest: Json) -> Path:
    """Write a manifest with the files and graphs that are in the folder, unless it names others."""
    paths = sorted(path for path in folder.iterdir() if path.name != "manifest.json")
    kinds = {path.stem: path.stem.removesuffix("-0") for path in paths if path.suffix == ".onnx"}
    found = {
        "files": {path.name: {"sha256": sha256(path), "bytes": path.stat().st_size} for path in paths},
        "graphs": {name: {"file": f"{name}.onnx", "kind": kind} for name, kind in kinds.items()},
    }
    (folder / "manifest.json").write_text(json.dumps(found | manifest))
    return folder


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

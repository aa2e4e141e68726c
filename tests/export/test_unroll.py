"""Steps written out one behind the other: the same bytes as a loop and as the step graphs, and no control flow."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from face_encryption.export.cases import picture
from face_encryption.export.graph.unroll import unroll
from face_encryption.runtime.onnx_runtime import ort

from .cloak_steps import CloakSteps

SIDE = 120
CONTROL_FLOW = {"Loop", "If", "Scan"}
LABEL = {"label": np.array(3), "direction": 1.0, "epsilon": 8.0, "step_size": 4.0, "momentum": 1.0, "diversity": 1.0}


def session(model: str | bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model, options)


def label_steps(folder: Path, steps: int, feed: dict[str, Any]) -> tuple[Any, list[float]]:
    """The same by the graph of one step."""
    step = session(str(folder / "attack-label-step.onnx"))
    perturbation = buffer = np.zeros((3, SIDE, SIDE), np.float32)
    losses = []
    for iteration in range(steps):
        state = {"perturbation": perturbation, "momentum_buffer": buffer, "iteration": np.array(iteration)}
        perturbation, buffer, protected, loss = step.run(None, feed | state)
        losses.append(float(loss))
    return protected, losses


@pytest.fixture(scope="module")
def label() -> dict[str, Any]:
    numbers = {name: np.asarray(value, None if name == "label" else np.float32) for name, value in LABEL.items()}
    return {"face": picture(SIDE), "seed": np.array(11), **numbers}


@pytest.fixture(scope="module")
def feature(artifacts: Path) -> dict[str, Any]:
    surrogates = json.loads((artifacts / "manifest.json").read_text())["surrogates"]
    reference = np.random.default_rng(1).normal(size=sum(each["embedding"] for each in surrogates))
    keypoints = np.array([[0.33, 0.31], [0.67, 0.3], [0.5, 0.5], [0.5, 0.67], [0.2, 0.4], [0.8, 0.4]]) * SIDE
    return {
        "face": picture(SIDE),
        "keypoints": keypoints.astype(np.float32),
        "reference": reference.astype(np.float32),
        "budget": np.array(0.03, np.float32),
        "clamp": np.array(12, np.float32),
        "seed": np.array(11),
    }


def unrolled(step: Path, steps: int, side: int | None = None) -> onnx.ModelProto:
    return ir.to_proto(unroll([ir.from_proto(_load(step))] * steps, side=side))


@cache
def _load(path: Path) -> onnx.ModelProto:
    return onnx.load(path)


def operators(model: onnx.ModelProto) -> set[str]:
    return {node.op_type for node in model.graph.node}


def equal(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return np.array_equal(one[0], other[0]) and np.array_equal(one[1], np.float32(other[1]))


def test_steps_on_a_label(artifacts: Path, label: dict[str, Any]) -> None:
    loop = session(str(artifacts / "attack-label.onnx"))
    for number in (1, 2, 3, 4, 8):
        model = unrolled(artifacts / "attack-label-step.onnx", number)
        assert not operators(model) & CONTROL_FLOW
        got = session(model.SerializeToString()).run(None, label)
        assert equal(got, loop.run(None, label | {"steps": np.array(number)})), number
        assert equal(got, label_steps(artifacts, number, label)), number


def test_what_the_export_writes_out(artifacts: Path, feature: dict[str, Any]) -> None:
    manifest = json.loads((artifacts / "manifest.json").read_text())
    (graph,) = (each for each in manifest["graphs"].values() if each["kind"] == "attack-feature-unrolled")
    turns, fast = manifest["cloak"]["turns"], manifest["cloak"]["effort"]["fast"]["steps"]
    assert (graph["steps"], graph["file"]) == (fast, f"attack-feature-{fast}.onnx")
    path = artifacts / graph["file"]
    assert not operators(onnx.load(path, load_external_data=False)) & CONTROL_FLOW
    got = session(str(path)).run(None, feature)
    assert [each["name"] for each in graph["outputs"]] == ["protected", "losses"]
    assert equal(got, CloakSteps.of_folder(artifacts, turns)(fast, **feature))


def test_squares_of_one_side(artifacts: Path, label: dict[str, Any]) -> None:
    """All shapes are fixed, for runtimes that take no others; the bytes are those of any side."""
    step = artifacts / "attack-label-step.onnx"
    fixed, free = unrolled(step, 2, SIDE), unrolled(step, 2)
    assert [size.dim_value for size in fixed.graph.input[0].type.tensor_type.shape.dim] == [SIDE, SIDE, 3]
    assert "Shape" in operators(free)
    assert "Shape" not in operators(fixed)
    shapes = {value.name: value.type.tensor_type.shape.dim for value in fixed.graph.value_info}
    assert all(size.HasField("dim_value") for shape in shapes.values() for size in shape)
    assert shapes.keys() >= {name for node in fixed.graph.node for name in node.output} - {
        value.name for value in fixed.graph.output
    }
    results = [session(model.SerializeToString()).run(None, label) for model in (fixed, free)]
    assert equal(*results)

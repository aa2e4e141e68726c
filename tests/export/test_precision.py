"""Stored weights of fewer bits: what is rounded, and that the runtime widens them when it loads a graph."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from face_encryption.export.cases import picture
from face_encryption.export.cli import CHECKPOINT
from face_encryption.export.precision import MANY, Narrow, digest, narrow_graph, narrow_weights, rounded
from face_encryption.export.surrogate import fold
from face_encryption.export.weights import WeightsFile, with_bodies
from face_encryption.runtime.onnx_runtime import ort
from face_encryption.training.checkpoint import load_checkpoint


@pytest.fixture(scope="module")
def halves() -> dict[str, Narrow]:
    model, description = load_checkpoint(CHECKPOINT)
    return narrow_weights(model, fold(model, description), "fp16")


def session(path: Path, optimised: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(optimised)
    return ort.InferenceSession(str(path), options)


def ops(path: Path) -> Counter[str]:
    model = onnx.load(path, load_external_data=False)
    return Counter(node.op_type for graph in with_bodies(model.graph) for node in graph.node)


def test_fp16_stores_the_checkpoint_without_loss() -> None:
    model, description = load_checkpoint(CHECKPOINT)
    surrogate, wide = fold(model, description), fold(model, description)
    stored = narrow_weights(model, surrogate, "fp16")
    for weight, same in zip(surrogate.parameters(), wide.parameters(), strict=True):
        assert torch.equal(weight, same)
    assert sum(each.values.size for each in stored.values()) == sum(w.numel() for w in wide.parameters() if w.dim() > 1)


def test_int8_rounds_to_the_nearest_and_large_tensors_to_four_bits() -> None:
    model, description = load_checkpoint(CHECKPOINT)
    surrogate, wide = fold(model, description), fold(model, description)
    stored = narrow_weights(model, surrogate, "int8")
    for weight, before in zip(surrogate.parameters(), wide.parameters(), strict=True):
        if before.dim() < 2:
            assert torch.equal(weight, before)
            continue
        largest = before.abs().flatten(1).amax(1).view(-1, *[1] * (before.dim() - 1))
        assert ((weight - before).abs() <= largest / (7 if before.numel() >= MANY else 127) * 0.501).all()
    assert {each.packed for each in stored.values()} == {True, False}


@pytest.mark.parametrize("name", ["recognizer.onnx", "attack-feature.onnx", "attack-label.onnx"])
def test_the_runtime_widens_when_it_loads(
    name: str, float_artifacts: Path, halves: dict[str, Narrow], tmp_path: Path
) -> None:
    model = onnx.load(float_artifacts / name)
    narrow_graph(model, halves)
    weights = WeightsFile("weights.bin")
    weights.move(model)
    weights.write(tmp_path)
    onnx.save_model(model, tmp_path / name)
    assert (
        sum(file.stat().st_size for file in tmp_path.iterdir())
        < 0.55 * (float_artifacts / "weights.bin").stat().st_size
    )

    sessions = [session(folder / name, tmp_path / str(i)) for i, folder in enumerate((float_artifacts, tmp_path))]
    assert ops(tmp_path / "0") == ops(tmp_path / "1")
    feed = {each.name: np.array(1, np.float32) for each in sessions[0].get_inputs() if each.type == "tensor(float)"}
    feed |= {each.name: np.array(1) for each in sessions[0].get_inputs() if each.type == "tensor(int64)"}
    feed |= {"face": picture(97)}
    if "feature" in name:
        feed |= {"reference": np.full(512, 512**-0.5, np.float32), "keypoints": np.zeros((6, 2), np.float32)}
    for got, want in zip(*(each.run(None, feed) for each in sessions), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("shape", [(40, 3, 3, 3), (512, 512, 3, 3)])
def test_a_graph_computes_with_the_rounded_weights(shape: tuple[int, ...], tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    weight, image = random.normal(size=shape).astype(np.float32), random.normal(size=(1, shape[1], 5, 5))
    weight[0] = 0  # a channel without weights has no scale of its own
    narrow = rounded(weight)
    assert narrow.packed == (weight.size >= MANY)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "weight"], ["result"])],
        "convolution",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, image.shape)],
        [helper.make_tensor_value_info("result", TensorProto.FLOAT, [1, shape[0], 3, 3])],
        [numpy_helper.from_array(narrow.wide(), "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    narrow_graph(model, {digest(narrow.wide().tobytes()): narrow})
    onnx.checker.check_model(model, full_check=True)
    assert model.ByteSize() < weight.size * (0.52 if narrow.packed else 1.1) + 2000
    onnx.save_model(model, tmp_path / "model.onnx")
    (got,) = session(tmp_path / "model.onnx", tmp_path / "optimised.onnx").run(
        None, {"image": image.astype(np.float32)}
    )
    want = torch.nn.functional.conv2d(torch.from_numpy(image).float(), torch.from_numpy(narrow.wide()))
    np.testing.assert_allclose(got, want.numpy(), atol=1e-3)
    assert set(ops(tmp_path / "optimised.onnx")) <= {"Conv", "ReorderInput", "ReorderOutput"}

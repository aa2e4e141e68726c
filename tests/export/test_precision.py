"""Stored weights of fewer bits: what is rounded, and that the runtime widens them when it loads a graph."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx_ir.serde import serialize_model

from face_encryption.export.attack.surrogate import LABEL, fold
from face_encryption.export.cases import picture
from face_encryption.export.cli import CHECKPOINT
from face_encryption.export.graph.build import gradient_graph, label_step_graph, recognizer_graph
from face_encryption.export.graph.loop import looped
from face_encryption.export.graph.weights import WeightsFile, with_bodies
from face_encryption.export.quantize.precision import LARGEST, Narrow, digest, narrow_graph, narrow_weights, rounded
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


def test_int8_rounds_to_the_nearest() -> None:
    model, description = load_checkpoint(CHECKPOINT)
    surrogate, wide = fold(model, description), fold(model, description)
    stored = narrow_weights(model, surrogate, "int8")
    for weight, before in zip(surrogate.parameters(), wide.parameters(), strict=True):
        if before.dim() < 2:
            assert torch.equal(weight, before)
            continue
        largest = before.abs().flatten(1).amax(1).view(-1, *[1] * (before.dim() - 1))
        assert ((weight - before).abs() <= largest / LARGEST * 0.501).all()
    assert {each.values.dtype.name for each in stored.values()} == {"int8"}


@pytest.mark.parametrize("in_loop", [False, True])
def test_the_runtime_widens_when_it_loads(in_loop: bool, halves: dict[str, Narrow], tmp_path: Path) -> None:
    own = fold(*load_checkpoint(CHECKPOINT))
    graph = looped(label_step_graph(gradient_graph(own, LABEL), own.size)) if in_loop else recognizer_graph(own)
    sizes, sessions = [], []
    for name, stored in (("wide", {}), ("narrow", halves)):
        folder, model = tmp_path / name, serialize_model(graph)
        folder.mkdir()
        narrow_graph(model, stored)
        weights = WeightsFile("weights.bin")
        weights.move(model)
        weights.write(folder)
        onnx.save_model(model, folder / "graph.onnx")
        sizes.append(sum(file.stat().st_size for file in folder.iterdir()))
        sessions.append(session(folder / "graph.onnx", tmp_path / f"optimised-{name}"))
    assert sizes[1] < 0.55 * sizes[0]
    assert ops(tmp_path / "optimised-wide") == ops(tmp_path / "optimised-narrow")
    feed = {each.name: np.array(1, np.float32) for each in sessions[0].get_inputs() if each.type == "tensor(float)"}
    feed |= {each.name: np.array(1) for each in sessions[0].get_inputs() if each.type == "tensor(int64)"}
    feed |= {"face": picture(97)}
    for got, want in zip(*(each.run(None, feed) for each in sessions), strict=True):
        np.testing.assert_array_equal(got, want)


def test_a_graph_computes_with_the_rounded_weights(tmp_path: Path) -> None:
    random, shape = np.random.default_rng(0), (256, 128, 3, 3)
    weight, image = random.normal(size=shape).astype(np.float32), random.normal(size=(1, shape[1], 5, 5))
    weight[0] = 0  # a channel without weights has no scale of its own
    narrow = rounded(weight)
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
    assert model.ByteSize() < 1.1 * weight.size + 2000
    onnx.save_model(model, tmp_path / "model.onnx")
    (got,) = session(tmp_path / "model.onnx", tmp_path / "optimised.onnx").run(
        None, {"image": image.astype(np.float32)}
    )
    want = torch.nn.functional.conv2d(torch.from_numpy(image).float(), torch.from_numpy(narrow.wide()))
    np.testing.assert_allclose(got, want.numpy(), atol=1e-3)
    assert set(ops(tmp_path / "optimised.onnx")) <= {"Conv", "ReorderInput", "ReorderOutput"}

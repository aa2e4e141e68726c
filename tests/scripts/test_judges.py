"""The converters of npm packages' recognizers: TensorFlow.js and Lite as they are read, and a wrong package."""

import json
from base64 import b64encode
from functools import partial
from pathlib import Path

import judges
import mobilefacenet
import numpy as np
import onnx
import pytest
import torch

from face_encryption.export.detector.builder import GraphBuilder
from face_encryption.runtime.onnx_runtime import ort


def test_weights_are_read_as_the_format_says() -> None:
    manifest = [
        {"name": "q", "shape": [2], "dtype": "float32", "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1.0}},
        {"name": "h", "shape": [1], "dtype": "float32", "quantization": {"dtype": "float16"}},
        {"name": "i", "shape": [], "dtype": "int32"},
    ]
    data = bytes([0, 7]) + np.float16(0.25).tobytes() + np.int32(-3).tobytes()
    weights = judges.read_weights([{"weights": manifest}], data).items()
    found = {name: (array.dtype.name, array.tolist()) for name, array in weights}
    assert found == {"q": ("float32", [-1.0, 2.5]), "h": ("float32", [0.25]), "i": ("int32", -3)}


def test_a_graph_computes_what_it_did(tmp_path: Path) -> None:
    """The odd pixel of a convolution's padding comes last, and a bias goes along the channels."""
    random = np.random.default_rng(0)
    kernel, bias = random.normal(size=(3, 3, 3, 2)).astype(np.float32), np.array([1, -1], np.float32)
    weights = [{"name": name, "shape": a.shape, "dtype": "float32"} for name, a in (("kernel", kernel), ("bias", bias))]
    attributes = {"strides": {"list": {"i": ["1", "2", "2", "1"]}}, "padding": {"s": b64encode(b"SAME").decode()}}
    nodes = [
        {"op": "Placeholder", "name": "x"},
        {"op": "Conv2D", "name": "y", "input": ["x", "kernel"], "attr": attributes},
        {"op": "AddV2", "name": "z", "input": ["y", "bias"]},
        {"op": "Mean", "name": "mean", "input": ["z", "axes"]},
    ]
    model = json.dumps({"weightsManifest": [{"weights": weights}], "modelTopology": {"node": nodes}}).encode()
    network = partial(judges.add_tfjs, model=model, data=kernel.tobytes() + bias.tobytes(), output="mean")
    judges.save(tmp_path / "tiny.onnx", 6, 2, network)
    x = random.normal(size=(1, 3, 6, 6)).astype(np.float32)
    (found,) = ort.InferenceSession(str(tmp_path / "tiny.onnx")).run(None, {"image": x})
    padded = np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 1)))
    wanted = torch.conv2d(torch.from_numpy(padded), torch.from_numpy(kernel).permute(3, 2, 0, 1), stride=2)
    np.testing.assert_allclose(found, wanted.mean((2, 3)).numpy() + bias, atol=1e-5)


def test_a_prelu_that_was_written_out_is_one_again() -> None:
    slope = np.array([0.25, 0.5, -1], np.float32)[:, None, None]
    builder = GraphBuilder()
    x = builder.input("x", onnx.TensorProto.FLOAT, [1, 3, 4, 4])
    half = (x - builder.add("Abs", x)) * slope * np.float32(0.5)
    builder.output("y", builder.add("Relu", x) + half, onnx.TensorProto.FLOAT, [1, 3, 4, 4])
    written_out = builder.model("tiny")
    model = mobilefacenet.with_prelus(written_out)
    assert "PRelu" in {node.op_type for node in model.graph.node} <= {"PRelu", "Identity"}
    feed = {"x": np.random.default_rng(0).normal(size=(1, 3, 4, 4)).astype(np.float32)}
    found, wanted = (ort.InferenceSession(each.SerializeToString()).run(None, feed)[0] for each in (model, written_out))
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_a_wrong_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wrong.tgz").write_bytes(b"another file")
    package, out = str(tmp_path / "wrong.tgz"), tmp_path / "judges"
    monkeypatch.setattr("sys.argv", ["judges.py", package, package, "LFW", "list.txt", "--out", str(out)])
    with pytest.raises(SystemExit, match=r"^Error: .*wrong\.tgz: not .*$"):
        judges.main()
    monkeypatch.setattr("sys.argv", ["mobilefacenet.py", package, "--out", str(out)])
    with pytest.raises(SystemExit, match=r"^Error: .*wrong\.tgz: not .*$"):
        mobilefacenet.main()
    assert not out.exists()

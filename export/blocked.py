"""Translations that stay in the blocked layout, in which onnxruntime computes convolutions: all are convolutions."""

import itertools
from collections.abc import Sequence
from typing import Any

from onnxscript import opset18 as op

# The slope of a hard sigmoid that tells zero from all that a network computes.
STEEP = 2.0**100


def positive(image: Any) -> Any:
    """One where a value is positive, else zero.

    Of a feature map it is made by a convolution with an activation, which onnxruntime joins into one op of the blocked
    layout; a comparison is none.
    """
    if len(image.shape) != 4:
        return op.Sign(op.Relu(image))
    return op.HardSigmoid(each_channel(image, image.shape[1], [[1.0]]), alpha=STEEP, beta=0.0)


def each_channel(image: Any, channels: int, kernel: Sequence[Sequence[float]], **attributes: Any) -> Any:
    """Convolve each channel of [1, channels, H, W] with one kernel, of which the runtime makes copies when it loads."""
    shape = [len(kernel), len(kernel[0])]
    values = op.Constant(value_floats=[value for row in kernel for value in row])
    weights = op.Expand(
        op.Reshape(values, op.Constant(value_ints=[1, 1, *shape])), op.Constant(value_ints=[channels, 1, *shape])
    )
    return op.Conv(image, weights, group=channels, kernel_shape=shape, **attributes)


def one_hot(shape: Sequence[int], place: Sequence[int]) -> list[list[float]]:
    """Return a kernel of a shape that takes one place alone."""
    return [[float((row, column) == tuple(place)) for column in range(shape[1])] for row in range(shape[0])]


def interleave(places: dict[tuple[int, ...], Any], stride: Sequence[int], size: Sequence[int]) -> Any:
    """Put together maps of which each holds the pixels of one place in every `stride` x `stride`, and cut to `size`."""
    whole = op.DepthToSpace(op.Concat(*(places[place] for place in sorted(places)), axis=1), blocksize=stride[0])
    if all(side % step == 0 for side, step in zip(size, stride, strict=True)):
        return whole
    return op.Slice(
        whole, op.Constant(value_ints=[0, 0]), op.Constant(value_ints=[*size]), op.Constant(value_ints=[2, 3])
    )


def taken_apart(whole: Any) -> dict[tuple[int, ...], Any]:
    """Return the maps that were interleaved to this one by their places, or none where it was made otherwise."""
    node = whole.producer()
    joined = node.inputs[0].producer() if node and node.op_type == "DepthToSpace" else None
    if joined is None or joined.op_type != "Concat":
        return {}
    places = itertools.product(range(node.attributes["blocksize"].as_int()), repeat=2)
    return dict(zip(places, joined.inputs, strict=True))

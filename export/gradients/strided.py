"""A rewriting rule: the input gradients of strided convolutions as convolutions of stride 1, put together."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from onnxscript import opset18 as op
from torch import Tensor, fx

from .blocked import each_channel, interleave

aten = torch.ops.aten

# Fewer channels fill no vector of a convolution's kernel; transposed they are one large matrix product.
CHANNELS = 16


@torch.library.custom_op("face_encryption::strided_gradient", mutates_args=())
def strided_gradient(
    grads: list[Tensor], weights: list[Tensor], paddings: list[int], stride: list[int], size: list[int], groups: int
) -> Tensor:
    """Add up the input gradients f32 [1, C, *size] of convolutions of one image and stride, square in padding.

    There is one group, or one for each channel.
    """
    image = grads[0].new_empty([1, weights[0].shape[1] * groups, *size])
    parts = [
        aten.convolution_backward(
            grad, image, weight, None, stride, [padding] * 2, [1, 1], False, [0, 0], groups, [True, False, False]
        )[0]
        for grad, weight, padding in zip(grads, weights, paddings, strict=True)
    ]
    return torch.stack(parts).sum(0)


@strided_gradient.register_fake
def _(
    grads: list[Tensor], weights: list[Tensor], paddings: list[int], stride: list[int], size: list[int], groups: int
) -> Tensor:
    return grads[0].new_empty([1, weights[0].shape[1] * groups, *size])


def join_strided(graph: fx.Graph, fewest: int = CHANNELS) -> None:
    """The input gradients of strided convolutions become one op, and so do two that are added, as a ResNet's are.

    Those of images of fewer than `fewest` channels stay.
    """
    joined = torch.ops.face_encryption.strided_gradient.default
    for node in graph.find_nodes(op="call_function", target=aten.convolution_backward.default):
        grad, image, weight, _, stride, padding, dilation, _, _, groups, _ = node.args
        size = list(image.meta["val"].shape[2:])
        results = [user for user in node.users if user.args[1] == 0]
        channels, (passed, depth, *kernel) = image.meta["val"].shape[1], weight.meta["val"].shape
        plain = groups == 1 or (depth == 1 and passed == channels)
        plain = plain and set(dilation) == {1} and len(set(padding)) == len(set(stride)) == len(results) == 1
        if not plain or stride[0] == 1 or channels < fewest:
            continue
        sides = zip(size, grad.meta["val"].shape[2:], kernel, strict=True)
        taps = [tap for each in sides for tap in _taps(*each, stride[0], padding[0]) if tap.count]
        if any(tap.before < 0 or tap.after < 0 for tap in taps):
            continue
        with graph.inserting_before(node):
            call = graph.call_function(joined, ([grad], [weight], [padding[0]], stride, size, groups))
        call.meta = results[0].meta
        results[0].replace_all_uses_with(call)
    for node in graph.find_nodes(op="call_function", target=aten.add.Tensor):
        first, second = node.args
        # Where a map has a gradient of its own, that comes first: (own + first) + second.
        own = None
        if isinstance(first, fx.Node) and first.target == aten.add.Tensor and len(first.users) == 1:
            own, first = first.args
        pair = (first, second)
        if not all(isinstance(each, fx.Node) and each.target == joined and len(each.users) == 1 for each in pair):
            continue
        if first.args[3:] == second.args[3:]:
            with graph.inserting_before(node):
                lists = [[*one, *other] for one, other in zip(first.args[:3], second.args[:3], strict=True)]
                call = graph.call_function(joined, (*lists, *first.args[3:]))
                call.meta = node.meta
                if own is not None:
                    call = graph.call_function(aten.add.Tensor, (own, call))
                    call.meta = node.meta
            node.replace_all_uses_with(call)


@dataclass(frozen=True)
class Taps:
    """What of a kernel meets the pixels of one place along one axis: its last weight, how many, and their padding."""

    last: int
    count: int
    before: int
    after: int


def _taps(side: int, passed: int, kernel: int, stride: int, padding: int) -> list[Taps]:
    """Return those of each place, for an axis of `side` pixels of which the convolution made `passed`."""
    found = []
    for place in range(stride):
        ahead, first = divmod(place + padding, stride)
        count = -(-(kernel - first) // stride)
        after = -(-side // stride) - passed + ahead
        found.append(Taps(first + stride * (count - 1), max(count, 0), count - 1 - ahead, after))
    return found


def gradient_by_place(
    grads: Sequence[Any],
    weights: Sequence[Any],
    paddings: Sequence[int],
    stride: Sequence[int],
    size: Sequence[int],
    groups: int,
) -> dict[tuple[int, ...], Any]:
    """Translate: pixels of one place in the stride's square meet the same weights, so each place is a convolution."""
    channels = weights[0].shape[1] * groups
    places: dict[tuple[int, ...], Any] = {}
    for grad, weight, padding in zip(grads, weights, paddings, strict=True):
        for place, flipped, before, after in _kernels(grad, weight, padding, stride, size, groups):
            part = op.Conv(grad, flipped, group=groups, pads=before + after)
            places[place] = op.Add(places[place], part) if place in places else part
    empty = [1, channels, *(-(-side // step) for side, step in zip(size, stride, strict=True))]
    for place in itertools.product(*(range(step) for step in stride)):
        if place not in places:
            places[place] = op.Expand(op.Constant(value_float=0.0), op.Constant(value_ints=empty))
    return places


def _kernels(
    grad: Any, weight: Any, padding: int, stride: Sequence[int], size: Sequence[int], groups: int
) -> Iterator[tuple[tuple[int, ...], Any, list[int], list[int]]]:
    """Yield for each place that any weights meet these weights, and what is padded before and after."""
    axes = [
        _taps(side, passed, kernel, step, padding)
        for side, passed, kernel, step in zip(size, grad.shape[2:], weight.shape[2:], stride, strict=True)
    ]
    swapped = op.Transpose(weight, perm=[1, 0, 2, 3]) if groups == 1 else weight
    for place in itertools.product(*(range(step) for step in stride)):
        taps = [axis[at] for axis, at in zip(axes, place, strict=True)]
        if not all(tap.count for tap in taps):
            continue
        flipped = op.Slice(
            swapped,
            op.Constant(value_ints=[tap.last for tap in taps]),
            op.Constant(value_ints=[-(2**31)] * 2),
            op.Constant(value_ints=[2, 3]),
            op.Constant(value_ints=[-step for step in stride]),
        )
        yield place, flipped, [tap.before for tap in taps], [tap.after for tap in taps]


def gradient_of_all_places(
    grad: Any, weight: Any, padding: int, stride: Sequence[int], size: Sequence[int]
) -> Any | None:
    """Translate, for few channels: one convolution makes those of all places, [1, places * C, h, w].

    Their kernels are padded to one size. Returns None where a place meets no weights.
    """
    places = [*_kernels(grad, weight, padding, stride, size, 1)]
    if len(places) < math.prod(stride):
        return None
    before = [max(place[2][axis] for place in places) for axis in range(2)]
    after = [max(place[3][axis] for place in places) for axis in range(2)]
    kernels = []
    for _, kernel, own_before, own_after in places:
        more = [most - own for most, own in zip(before + after, own_before + own_after, strict=True)]
        kernels.append(op.Pad(kernel, op.Constant(value_ints=[0, 0, *more[:2], 0, 0, *more[2:]])))
    return op.Conv(grad, op.Concat(*kernels, axis=0), pads=before + after)


def interleaved_gradient(
    grads: Sequence[Any],
    weights: Sequence[Any],
    paddings: Sequence[int],
    stride: Sequence[int],
    size: Sequence[int],
    groups: int,
) -> Any:
    """Translate, and put the places together."""
    return interleave(gradient_by_place(grads, weights, paddings, stride, size, groups), stride, size)


def translate_strided_gradient(
    grads: Sequence[Any],
    weights: Sequence[Any],
    paddings: Sequence[int],
    stride: Sequence[int],
    size: Sequence[int],
    groups: int,
) -> Any:
    """Translate, and bring the map back into the blocked layout by a convolution that changes nothing."""
    whole = interleaved_gradient(grads, weights, paddings, stride, size, groups)
    return each_channel(whole, weights[0].shape[1] * groups, [[1.0]])

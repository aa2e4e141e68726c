"""Rewriting rules for traced gradients: the same gradient, in ops that runtimes compute without detours.

Runtimes are made for forward passes. What only a backward pass holds (where a maximum was, transposed convolutions of
stride 2) has slow kernels, or on one thread only, and each stands outside the blocked layout in which onnxruntime
computes convolutions, so that every map is brought out of that layout and back. Each rule here replaces one such thing
by an op of this project's, whose translation to ONNX consists of convolutions and what goes with them.
"""

import itertools
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from onnxscript import opset18 as op
from torch import Tensor, fx

aten = torch.ops.aten

Rule = Callable[[fx.Graph], None]

# The slope of a hard sigmoid that tells zero from all that a network computes.
STEEP = 2.0**100
# Fewer channels fill no vector of a convolution's kernel; transposed they are one large matrix product.
CHANNELS = 16


@torch.library.custom_op("face_encryption::max_pool_gradient", mutates_args=())
def max_pool_gradient(
    grad_output: Tensor, image: Tensor, pooled: Tensor, kernel: list[int], stride: list[int], padding: list[int]
) -> Tensor:
    """Bring a gradient like `pooled` [1, C, h, w] back to where in `image` [1, C, H, W] the maxima of its windows were.

    `grad_output` is zero where the maximum is not positive, and there are as many windows as strides in the image. The
    first of equal maxima takes it all.
    """
    _, indices = aten.max_pool2d_with_indices(image, kernel, stride, padding)
    gradient: Tensor = aten.max_pool2d_with_indices_backward(
        grad_output, image, kernel, stride, padding, [1, 1], False, indices
    )
    return gradient


@max_pool_gradient.register_fake
def _(grad_output: Tensor, image: Tensor, pooled: Tensor, *_: list[int]) -> Tensor:
    return torch.empty_like(image)


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


def rewrite(traced: fx.GraphModule, rules: Sequence[Rule]) -> None:
    """Apply rules to a traced gradient, in place."""
    for rule in rules:
        rule(traced.graph)
    traced.graph.eliminate_dead_code()
    traced.recompile()


def mask_before_unpooling(graph: fx.Graph) -> None:
    """What max pooling passes back to a ReLU is masked before it is spread, not after.

    A maximum is positive exactly where it was taken from something positive, and there are fewer maxima than pixels.
    From then on the zeros that pad the image are no maxima, which can then be found by comparing. That leaves the
    pooling without its second output: only so has it a fast kernel.
    """
    for node in graph.find_nodes(op="call_function", target=aten.threshold_backward.default):
        unpooling, image, threshold = node.args
        if unpooling.target != aten.max_pool2d_with_indices_backward.default or unpooling.args[1] is not image:
            continue
        grad, _, kernel, stride, padding, dilation, ceil_mode, indices = unpooling.args
        with graph.inserting_before(node):
            pooled = graph.call_function(operator.getitem, (indices.args[0], 0))
            masked = graph.call_function(aten.threshold_backward.default, (grad, pooled, threshold))
            pooled.meta, masked.meta = grad.meta, grad.meta
            if _tiles(image, grad, stride) and len(set(stride)) == 1 and not ceil_mode and set(dilation) == {1}:
                spread = graph.call_function(
                    torch.ops.face_encryption.max_pool_gradient.default,
                    (masked, image, pooled, kernel, stride, padding),
                )
            else:
                spread = graph.call_function(unpooling.target, (masked, *unpooling.args[1:]))
        spread.meta = node.meta
        node.replace_all_uses_with(spread)


def _tiles(image: fx.Node, pooled: fx.Node, stride: Sequence[int]) -> bool:
    sides = zip(image.meta["val"].shape[2:], pooled.meta["val"].shape[2:], stride, strict=True)
    return all(before == after * step for before, after, step in sides)


def join_strided(graph: fx.Graph) -> None:
    """The input gradients of strided convolutions become one op, and so do two that are added, as a ResNet's are."""
    joined = torch.ops.face_encryption.strided_gradient.default
    for node in graph.find_nodes(op="call_function", target=aten.convolution_backward.default):
        grad, image, weight, _, stride, padding, dilation, _, _, groups, _ = node.args
        size = list(image.meta["val"].shape[2:])
        results = [user for user in node.users if user.args[1] == 0]
        channels, (passed, depth, *kernel) = image.meta["val"].shape[1], weight.meta["val"].shape
        plain = groups == 1 or (depth == 1 and passed == channels)
        plain = plain and set(dilation) == {1} and len(set(padding)) == len(set(stride)) == len(results) == 1
        if not plain or stride[0] == 1 or channels < CHANNELS:
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


RULES: tuple[Rule, ...] = (mask_before_unpooling, join_strided)


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


def _one_hot(shape: Sequence[int], place: Sequence[int]) -> list[list[float]]:
    return [[float((row, column) == tuple(place)) for column in range(shape[1])] for row in range(shape[0])]


def _interleave(places: dict[tuple[int, ...], Any], stride: Sequence[int], size: Sequence[int]) -> Any:
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


def _max_pool_gradient(
    grad_output: Any, image: Any, pooled: Any, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> Any:
    """Translate: pixel by pixel of the window, one that equals the maximum takes what is left of the gradient.

    Only the first may: where a picture's last row goes on beyond its end, many are equal.
    """
    channels, left = image.shape[1], grad_output
    places: dict[tuple[int, ...], Any] = {}
    minus = each_channel(pooled, channels, [[-1.0]])
    for pixel in itertools.product(*(range(side) for side in kernel)):
        # The smallest kernel that takes this pixel of each window alone, and as many of them as there are windows.
        before = [max(pad - at, 0) for at, pad in zip(pixel, padding, strict=True)]
        taken_at = [max(at - pad, 0) for at, pad in zip(pixel, padding, strict=True)]
        shape = [max(each) + 1 for each in zip(before, taken_at, strict=True)]
        after = [max(side - pad - step, 0) for side, pad, step in zip(shape, before, stride, strict=True)]
        seen = each_channel(image, channels, _one_hot(shape, taken_at), strides=[*stride], pads=before + after)
        taken = op.Mul(op.HardSigmoid(op.Add(seen, minus), alpha=STEEP, beta=1.0), left)
        left = op.Add(each_channel(taken, channels, [[-1.0]]), left)
        # This pixel of window i is the one of this place in the square i + ahead.
        steps = [divmod(at - pad, step) for at, pad, step in zip(pixel, padding, stride, strict=True)]
        ahead, place = [each[0] for each in steps], tuple(each[1] for each in steps)
        if any(ahead):
            moved = _one_hot([abs(each) + 1 for each in ahead], [max(-each, 0) for each in ahead])
            pads = [max(each, 0) for each in ahead] + [max(-each, 0) for each in ahead]
            taken = each_channel(taken, channels, moved, pads=pads)
        places[place] = op.Add(taken, places[place]) if place in places else taken
    return _interleave(places, stride, image.shape[2:])


def interleaved_gradient(
    grads: Sequence[Any],
    weights: Sequence[Any],
    paddings: Sequence[int],
    stride: Sequence[int],
    size: Sequence[int],
    groups: int,
) -> Any:
    """Translate: pixels of one place in the stride's square meet the same weights, so each place is a convolution."""
    channels = weights[0].shape[1] * groups
    places: dict[tuple[int, ...], Any] = {}
    for grad, weight, padding in zip(grads, weights, paddings, strict=True):
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
            pads = [tap.before for tap in taps] + [tap.after for tap in taps]
            part = op.Conv(grad, flipped, group=groups, pads=pads)
            places[place] = op.Add(places[place], part) if place in places else part
    empty = [1, channels, *(-(-side // step) for side, step in zip(size, stride, strict=True))]
    for place in itertools.product(*(range(step) for step in stride)):
        if place not in places:
            places[place] = op.Expand(op.Constant(value_float=0.0), op.Constant(value_ints=empty))
    return _interleave(places, stride, size)


def _strided_gradient(
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


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.face_encryption.max_pool_gradient.default: _max_pool_gradient,
    torch.ops.face_encryption.strided_gradient.default: _strided_gradient,
}

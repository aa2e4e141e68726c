"""Rewriting rules for traced gradients: the same gradient, in ops that runtimes compute without detours.

Runtimes are made for forward passes. What only a backward pass holds (where a maximum was, transposed convolutions of
stride 2) has slow kernels, or on one thread only, and each stands outside the blocked layout in which onnxruntime
computes convolutions, so that every map is brought out of that layout and back. Each rule here replaces one such thing
by an op of this project's, whose translation to ONNX consists of convolutions and what goes with them.
"""

import itertools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from onnxscript import opset18 as op
from torch import Tensor, fx

aten = torch.ops.aten

# The slope of a hard sigmoid that tells zero from all that a network computes.
STEEP = 2.0**100


@torch.library.custom_op("face_encryption::max_pool_gradient", mutates_args=())
def max_pool_gradient(
    grad_output: Tensor, image: Tensor, pooled: Tensor, kernel: list[int], stride: list[int], padding: list[int]
) -> Tensor:
    """Bring a gradient like `pooled` [1, C, h, w] back to where in `image` [1, C, H, W] the maxima of its windows were.

    No value of `image` is negative, and `grad_output` is zero where the maximum is. The windows tile the image.
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
    grads: list[Tensor], weights: list[Tensor], paddings: list[int], stride: list[int], size: list[int]
) -> Tensor:
    """Add up the input gradients f32 [1, C, *size] of convolutions of one image and stride, square in padding."""
    channels = weights[0].shape[1]
    return torch.stack(
        [
            torch.nn.grad.conv2d_input([1, channels, *size], weight, grad, stride, padding)
            for grad, weight, padding in zip(grads, weights, paddings, strict=True)
        ]
    ).sum(0)


@strided_gradient.register_fake
def _(
    grads: list[Tensor], weights: list[Tensor], paddings: list[int], stride: list[int], size: list[int]
) -> Tensor:
    return grads[0].new_empty([1, weights[0].shape[1], *size])


def rewrite(traced: fx.GraphModule) -> None:
    """Apply all rules to a traced gradient, in place."""
    for rule in RULES:
        rule(traced.graph)
    traced.graph.eliminate_dead_code()
    traced.recompile()


def mask_before_unpooling(graph: fx.Graph) -> None:
    """What max pooling passes back to a ReLU is masked before it is spread, not after.

    A maximum is positive exactly where it was taken from something positive, and there are fewer maxima than pixels.
    From then on ties do not matter, as nearly all are between zeros, and the maxima can be found by comparing, which
    leaves the pooling without its second output.
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
            if _tiles(image, grad, stride) and not ceil_mode and set(dilation) == {1}:
                spread = graph.call_function(
                    torch.ops.face_encryption.max_pool_gradient.default, (masked, image, pooled, kernel, stride, padding)
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
        if set(stride) == {1} or set(dilation) != {1} or groups != 1 or len(set(padding)) != 1 or len(results) != 1:
            continue
        # Few channels fill no vector of a convolution's kernel; transposed they are one large matrix product.
        if weight.meta["val"].shape[1] < CHANNELS:
            continue
        with graph.inserting_before(node):
            call = graph.call_function(joined, ([grad], [weight], [padding[0]], stride, size))
        call.meta = results[0].meta
        results[0].replace_all_uses_with(call)
    for node in graph.find_nodes(op="call_function", target=aten.add.Tensor):
        first, second = node.args
        if not all(isinstance(each, fx.Node) and each.target == joined and len(each.users) == 1 for each in node.args):
            continue
        if first.args[3:] == second.args[3:]:
            with graph.inserting_before(node):
                lists = [[*one, *other] for one, other in zip(first.args[:3], second.args[:3], strict=True)]
                call = graph.call_function(joined, (*lists, *first.args[3:]))
            call.meta = node.meta
            node.replace_all_uses_with(call)


CHANNELS = 16
RULES: tuple[Callable[[fx.Graph], None], ...] = (mask_before_unpooling, join_strided)


def positive(image: Any) -> Any:
    """One where a value that is never negative is positive, else zero.

    Of a feature map it is made by a convolution with an activation, which onnxruntime joins into one op of the blocked
    layout; a comparison is none.
    """
    if len(image.shape) != 4:
        return op.Sign(image)
    return op.HardSigmoid(each_channel(image, image.shape[1], [[1.0]]), alpha=STEEP, beta=0.0)


def each_channel(image: Any, channels: int, kernel: Sequence[Sequence[float]], **attributes: Any) -> Any:
    """Convolve each of the channels of [1, channels, H, W] with the same kernel, which the runtime repeats when it loads."""
    shape = [len(kernel), len(kernel[0])]
    values = op.Constant(value_floats=[value for row in kernel for value in row])
    weights = op.Expand(
        op.Reshape(values, op.Constant(value_ints=[1, 1, *shape])), op.Constant(value_ints=[channels, 1, *shape])
    )
    return op.Conv(image, weights, group=channels, kernel_shape=shape, **attributes)


def _one_hot(shape: Sequence[int], place: Sequence[int]) -> list[list[float]]:
    return [[float((row, column) == tuple(place)) for column in range(shape[1])] for row in range(shape[0])]


def _interleave(phases: Sequence[Any], stride: Sequence[int], size: Sequence[int]) -> Any:
    """Put maps together of which each holds one pixel of every `stride` x `stride`, row by row, and cut to `size`."""
    whole = op.DepthToSpace(op.Concat(*phases, axis=1), blocksize=stride[0])
    if any(-(-side // step) * step != side for side, step in zip(size, stride, strict=True)):
        whole = op.Slice(
            whole, op.Constant(value_ints=[0, 0]), op.Constant(value_ints=[*size]), op.Constant(value_ints=[2, 3])
        )
    return whole


def _max_pool_gradient(
    grad_output: Any, image: Any, pooled: Any, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> Any:
    """Translate: every place of the window is compared with the maximum, and where it is equal takes the gradient."""
    phases: dict[tuple[int, ...], Any] = {}
    channels = image.shape[1]
    minus = each_channel(pooled, channels, [[-1.0]])
    for place in itertools.product(*(range(side) for side in kernel)):
        below = op.Add(
            each_channel(image, channels, _one_hot(kernel, place), strides=[*stride], pads=[*padding] * 2), minus
        )
        taken = op.Mul(op.HardSigmoid(below, alpha=STEEP, beta=1.0), grad_output)
        # The pixel `place` of window i is pixel `phase` of the stride-sized square i + offset.
        offset, phase = zip(*(divmod(at - pad, step) for at, pad, step in zip(place, padding, stride, strict=True)), strict=True)
        if any(offset):
            moved = _one_hot([abs(each) + 1 for each in offset], [max(-each, 0) for each in offset])
            pads = [max(each, 0) for each in offset] + [max(-each, 0) for each in offset]
            taken = each_channel(taken, channels, moved, pads=pads)
        phases[phase] = op.Add(taken, phases[phase]) if phase in phases else taken
    whole = [phases[phase] for phase in itertools.product(*(range(step) for step in stride))]
    return _interleave(whole, stride, image.shape[2:])


def _strided_gradient(
    grads: Sequence[Any], weights: Sequence[Any], paddings: Sequence[int], stride: Sequence[int], size: Sequence[int]
) -> Any:
    """Translate: pixels of one place in the stride's square meet the same weights, so each place is a convolution."""
    squares = [-(-side // step) for side, step in zip(size, stride, strict=True)]
    phases = []
    for phase in itertools.product(*(range(step) for step in stride)):
        parts = []
        for grad, weight, padding in zip(grads, weights, paddings, strict=True):
            ahead, first = zip(*(divmod(at + padding, step) for at, step in zip(phase, stride, strict=True)), strict=True)
            taps = [-(-(side - start) // step) for side, start, step in zip(weight.shape[2:], first, stride, strict=True)]
            if min(taps) < 1:
                continue
            last = [start + step * (count - 1) for start, step, count in zip(first, stride, taps, strict=True)]
            flipped = op.Slice(
                op.Transpose(weight, perm=[1, 0, 2, 3]),
                op.Constant(value_ints=last),
                op.Constant(value_ints=[-(2**31)] * 2),
                op.Constant(value_ints=[2, 3]),
                op.Constant(value_ints=[-step for step in stride]),
            )
            before = [count - 1 - each for count, each in zip(taps, ahead, strict=True)]
            after = [square - side + each for square, side, each in zip(squares, grad.shape[2:], ahead, strict=True)]
            parts.append(op.Conv(grad, flipped, pads=[*before, *after]))
        total = parts[0]
        for part in parts[1:]:
            total = op.Add(total, part)
        phases.append(total)
    return each_channel(_interleave(phases, stride, size), weights[0].shape[1], [[1.0]])


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.face_encryption.max_pool_gradient.default: _max_pool_gradient,
    torch.ops.face_encryption.strided_gradient.default: _strided_gradient,
}

"""A rewriting rule: max pooling's gradient by convolutions, and masked before it is spread."""

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import torch
from onnxscript import opset18 as op
from torch import Tensor, fx

from face_encryption.export.blocked import STEEP, each_channel, interleave, one_hot

aten = torch.ops.aten


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


def translate_max_pool_gradient(
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
        seen = each_channel(image, channels, one_hot(shape, taken_at), strides=[*stride], pads=before + after)
        taken = op.Mul(op.HardSigmoid(op.Add(seen, minus), alpha=STEEP, beta=1.0), left)
        left = op.Add(each_channel(taken, channels, [[-1.0]]), left)
        # This pixel of window i is the one of this place in the square i + ahead.
        steps = [divmod(at - pad, step) for at, pad, step in zip(pixel, padding, stride, strict=True)]
        ahead, place = [each[0] for each in steps], tuple(each[1] for each in steps)
        if any(ahead):
            moved = one_hot([abs(each) + 1 for each in ahead], [max(-each, 0) for each in ahead])
            pads = [max(each, 0) for each in ahead] + [max(-each, 0) for each in ahead]
            taken = each_channel(taken, channels, moved, pads=pads)
        places[place] = op.Add(taken, places[place]) if place in places else taken
    return interleave(places, stride, image.shape[2:])

"""The gradient of a PyTorch loss as a flat graph of aten ops that the ONNX exporter understands.

Exporters cannot trace through `torch.func.grad`, so it is traced first, with `make_fx`, into one graph module that
holds the forward and the backward pass as plain ops. The few backward ops that have no ONNX translation get one here.
Nothing in this file knows the recognizer: any module of convolutions, max or average pooling, ReLU, linear layers and
normalisation of the embedding goes through.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from onnxscript import opset18 as op
from torch import Tensor, fx, nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from . import blocked, rewrite

aten = torch.ops.aten


def fold_batch_norm(model: nn.Module) -> fx.GraphModule:
    """Return a copy of a model in which each batch norm is folded into the convolution or linear layer before it.

    The copy is in eval mode and its parameters need no gradient. A batch norm after any other layer stays as it is.
    """
    graph_module = fx.symbolic_trace(model.eval())
    modules = dict(graph_module.named_modules())
    for node in list(graph_module.graph.nodes):
        if node.op != "call_module" or not isinstance(modules[node.target], nn.BatchNorm1d | nn.BatchNorm2d):
            continue
        before = node.args[0]
        if before.op != "call_module" or len(before.users) > 1:
            continue
        layer, norm = modules[before.target], modules[node.target]
        if isinstance(layer, nn.Conv2d):
            fused: nn.Module = fuse_conv_bn_eval(layer, norm)
        elif isinstance(layer, nn.Linear):
            fused = fuse_linear_bn_eval(layer, norm)
        else:
            continue
        graph_module.set_submodule(before.target, fused)
        node.replace_all_uses_with(before)
        graph_module.graph.erase_node(node)
    graph_module.delete_all_unused_submodules()
    graph_module.recompile()
    return graph_module.requires_grad_(False)


def trace_gradient(
    loss: Callable[..., tuple[Tensor, tuple[Tensor, ...]]],
    examples: Sequence[Tensor],
    rules: Sequence[rewrite.Rule] = rewrite.RULES,
) -> fx.GraphModule:
    """Trace `examples -> (gradient of the loss by the first of them, aside)` into a flat graph of aten ops.

    The examples fix shapes and dtypes; `loss` takes what is like them, and returns a scalar and what else is wanted.
    """

    def gradient(*given: Tensor) -> tuple[Tensor, ...]:
        gradient, aside = torch.func.grad(loss, has_aux=True)(*given)
        return gradient, *aside

    traced = make_fx(gradient)(*examples)
    # Tracing leaves detach ops behind, which mean nothing without a tape.
    for node in list(traced.graph.nodes):
        if node.target == aten.detach.default:
            node.replace_all_uses_with(node.args[0])
            traced.graph.erase_node(node)
    rewrite.rewrite(traced, rules)
    return traced


def _pairs(values: Sequence[int]) -> list[int]:
    return [*values] * (2 // len(values))


def _convolution_backward(
    grad_output: Any,
    image: Any,
    weight: Any,
    bias_sizes: Any,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
    output_mask: Sequence[bool],
) -> Any:
    """Translate the input gradient of a 2-d convolution; the weights' own gradient is never asked for."""
    if transposed or output_mask[1] or output_mask[2]:
        raise NotImplementedError("only the input gradient of a plain convolution can be exported")
    stride, padding, dilation = _pairs(stride), _pairs(padding), _pairs(dilation)
    kernel = list(weight.shape[2:])
    reach = [dilation[i] * (kernel[i] - 1) for i in range(2)]
    depthwise = groups > 1 and weight.shape[0] == groups and weight.shape[1] == 1
    if stride == [1, 1] and (groups == 1 or depthwise):
        # The same arithmetic as ConvTranspose, in the runtimes' fastest kernel. Flipping inside the graph, instead of
        # storing flipped weights, keeps one copy of them in the file; the runtime folds the flip when it loads.
        flipped = weight if depthwise else op.Transpose(weight, perm=[1, 0, 2, 3])
        if kernel != [1, 1]:
            far = -(2**31)
            flipped = op.Slice(
                flipped,
                op.Constant(value_ints=[-1, -1]),
                op.Constant(value_ints=[far, far]),
                op.Constant(value_ints=[2, 3]),
                op.Constant(value_ints=[-1, -1]),
            )
        pads = [reach[i] - padding[i] for i in range(2)] * 2
        gradient = op.Conv(grad_output, flipped, dilations=dilation, pads=pads, group=groups)
    else:
        # What has been put together of places, only to be spread once more, is spread from them.
        places = blocked.taken_apart(grad_output) or {(0, 0): grad_output}
        wider = 1 + max(place[0] for place in places)
        if any(padding[i] < stride[i] * (wider - 1) for i in range(2)):
            places, wider = {(0, 0): grad_output}, 1
        parts = []
        for place, part in places.items():
            before = [padding[i] - stride[i] * place[i] for i in range(2)]
            count = [grad_output.shape[2 + i] // wider for i in range(2)]
            steps = [each * wider for each in stride]
            after = [(count[i] - 1) * steps[i] + reach[i] + 1 - before[i] - image.shape[2 + i] for i in range(2)]
            parts.append(
                op.ConvTranspose(
                    part,
                    weight,
                    dilations=dilation,
                    group=groups,
                    output_padding=[max(-each, 0) for each in after],
                    pads=before + [max(each, 0) for each in after],
                    strides=steps,
                )
            )
        gradient = op.Sum(*parts) if len(parts) > 1 else parts[0]
    return gradient, op.Identity(gradient), op.Identity(gradient)


def _max_pool(
    image: Any,
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    ceil_mode: bool = False,
) -> Any:
    """Translate max pooling; ONNX counts its indices through the whole tensor, as their users here expect."""
    return op.MaxPool(
        image,
        kernel_shape=_pairs(kernel_size),
        strides=_pairs(stride or kernel_size),
        pads=_pairs(padding) * 2,
        dilations=_pairs(dilation),
        ceil_mode=int(ceil_mode),
    )


def translate_max_pool_backward(
    grad_output: Any,
    image: Any,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
    indices: Any,
) -> Any:
    """Translate the gradient of max pooling: each value goes back to where the maximum was."""
    shape = [int(size) for size in image.shape]
    count = 1
    for size in shape:
        count *= size
    flat = op.Constant(value_ints=[-1])
    zeros = op.Expand(op.Constant(value_floats=[0.0]), op.Constant(value_ints=[count]))
    scattered = op.ScatterElements(
        zeros, op.Reshape(indices, flat), op.Reshape(grad_output, flat), axis=0, reduction="add"
    )
    return op.Reshape(scattered, op.Constant(value_ints=shape))


def _average_pool_backward(
    grad_output: Any,
    image: Any,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Any:
    """Translate the gradient of average pooling: each value is spread evenly over its window."""
    if ceil_mode or divisor_override or (any(padding) and not count_include_pad):
        raise NotImplementedError("only average pooling with equal weights can be exported")
    kernel, stride, padding = _pairs(kernel_size), _pairs(stride or kernel_size), _pairs(padding)
    if kernel == stride == [1, 1]:
        return grad_output
    channels = image.shape[1]
    spread = op.Expand(
        op.Constant(value_float=1 / (kernel[0] * kernel[1])), op.Constant(value_ints=[channels, 1, *kernel])
    )
    covered = [(grad_output.shape[2 + i] - 1) * stride[i] + kernel[i] - 2 * padding[i] for i in range(2)]
    return op.ConvTranspose(
        grad_output,
        spread,
        group=channels,
        output_padding=[image.shape[2 + i] - covered[i] for i in range(2)],
        pads=padding * 2,
        strides=stride,
    )


def _threshold_backward(grad_output: Any, image: Any, threshold: float) -> Any:
    """Translate the gradient of ReLU."""
    if threshold != 0:
        raise NotImplementedError("only a threshold at zero, that of ReLU, can be exported")
    return op.Mul(grad_output, blocked.positive(image))


def _prelu(image: Any, slope: Any) -> Any:
    """Translate PReLU: all of what is positive and the slope's part of the rest.

    PRelu itself has no kernel for the blocked layout; convolutions of single channels and their sum stay in it.
    """
    if len(image.shape) != 4:
        return op.PRelu(image, slope)
    channels, part = image.shape[1], _by_channel(slope)
    return op.Add(
        op.Conv(op.Relu(image), _rest(part), group=channels, kernel_shape=[1, 1]),
        op.Conv(image, part, group=channels, kernel_shape=[1, 1]),
    )


def _prelu_backward(grad_output: Any, image: Any, slope: Any) -> Any:
    """Translate the input gradient of PReLU; the slope's own is never asked for."""
    positive = blocked.positive(image)
    if len(image.shape) != 4:
        passed = op.Add(op.Mul(positive, _rest(slope)), slope)
    else:
        part, every = _by_channel(slope), op.Reshape(slope, op.Constant(value_ints=[-1]))
        passed = op.Conv(positive, _rest(part), every, group=image.shape[1], kernel_shape=[1, 1])
    return op.Mul(grad_output, passed), op.Identity(slope)


def _by_channel(slope: Any) -> Any:
    return op.Reshape(slope, op.Constant(value_ints=[-1, 1, 1, 1]))


def _rest(part: Any) -> Any:
    return op.Sub(op.Constant(value_float=1.0), part)


GRADIENT_TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    **rewrite.TRANSLATIONS,
    aten._prelu_kernel.default: _prelu,
    aten._prelu_kernel_backward.default: _prelu_backward,
    aten.avg_pool2d_backward.default: _average_pool_backward,
    aten.convolution_backward.default: _convolution_backward,
    aten.max_pool2d_with_indices.default: _max_pool,
    aten.max_pool2d_with_indices_backward.default: translate_max_pool_backward,
    aten.threshold_backward.default: _threshold_backward,
}

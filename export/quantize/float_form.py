"""The gradient in floats that becomes one in integers: the same work, in the ops for which that is easy.

None of the detours that spare a runtime's blocked layout: integer maps know no such layout. They lie with their
channels last, so what moves them about moves whole pixels.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import onnx_ir as ir
import torch
from onnxscript import opset18 as op

from ..attack.surrogate import Objective, Surrogate
from ..gradients.pooling import mask_before_unpooling
from ..gradients.strided import CHANNELS, gradient_by_place, gradient_of_all_places, join_strided
from ..gradients.tracing import translate_max_pool_backward
from ..graph.build import TRANSLATIONS, Translations, gradient_graph
from ..graph.copies import descendants
from .shared_weights import CONVOLUTIONS, carry_scales

aten = torch.ops.aten


def float_gradient(surrogate: Surrogate, objective: Objective) -> ir.Model:
    """Export a gradient as `gradient_graph` does, of unit length where it enters the layers.

    Gradients shrink a thousandfold as a loss is reached, which no fixed scale of integers bears. Its size is lost.
    """
    plain: Translations = {
        aten._prelu_kernel.default: _prelu,
        aten._prelu_kernel_backward.default: _prelu_backward,
        aten.threshold_backward.default: _threshold_backward,
        torch.ops.face_encryption.max_pool_gradient.default: _max_pool_gradient,
        torch.ops.face_encryption.strided_gradient.default: _strided_gradient,
    }
    rules = (mask_before_unpooling, partial(join_strided, fewest=1))
    model = gradient_graph(surrogate, objective, rules, TRANSLATIONS | plain)
    _to_unit_length(model.graph, entrance(model.graph))
    carry_scales(model.graph)
    return model


def entrance(graph: ir.Graph) -> ir.Value:
    """Return the gradient that enters the last layer: the first convolution, or a linear layer right behind it."""
    backward = descendants(graph, [graph.inputs[1].name])
    first = next(node for node in graph if node.op_type in CONVOLUTIONS and node.inputs[0] in backward)
    gradient = value = first.inputs[0]
    while value and (node := value.producer()) and node.op_type in ("Reshape", "MatMul", "Mul"):
        value = node.inputs[0]
        if node.op_type == "MatMul":
            gradient = value
    assert gradient is not None
    return gradient


def _to_unit_length(graph: ir.Graph, gradient: ir.Value) -> None:
    """Divide a gradient by its length for all that use it."""
    users, before = [*gradient.uses()], gradient.producer()
    assert before is not None
    tape = ir.tape.Tape()
    length = tape.op("ReduceL2", [gradient], {"keepdims": 0})
    some = tape.op("Max", [length, tape.op("Constant", [], {"value_float": 1e-30})])
    unit = tape.op("Div", [gradient, some])
    unit.shape, unit.type = gradient.shape, gradient.type
    graph.insert_after(before, tape.nodes)
    for node, index in users:
        node.replace_input_with(index, unit)


def _threshold_backward(grad_output: Any, image: Any, _: float) -> Any:
    """Translate the gradient of ReLU."""
    zero = op.Constant(value_float=0.0)
    return op.Where(op.Greater(image, zero), grad_output, zero)


def _prelu_factor(image: Any, slope: Any) -> Any:
    """Return by what PReLU multiplies each value, and its gradient."""
    return op.Where(op.Greater(image, op.Constant(value_float=0.0)), op.Constant(value_float=1.0), slope)


def _prelu(image: Any, slope: Any) -> Any:
    """Translate PReLU."""
    return op.Mul(image, _prelu_factor(image, slope))


def _prelu_backward(grad_output: Any, image: Any, slope: Any) -> Any:
    """Translate the input gradient of PReLU; the slope's own is never asked for."""
    return op.Mul(grad_output, _prelu_factor(image, slope)), op.Identity(slope)


def _max_pool_gradient(
    grad_output: Any, image: Any, pooled: Any, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> Any:
    """Translate: each value goes back to where the maximum was."""
    _, indices = op.MaxPool(image, kernel_shape=[*kernel], strides=[*stride], pads=[*padding] * 2)
    return translate_max_pool_backward(grad_output, image, kernel, stride, padding, [1, 1], False, indices)


def _strided_gradient(
    grads: Sequence[Any],
    weights: Sequence[Any],
    paddings: Sequence[int],
    stride: Sequence[int],
    size: Sequence[int],
    groups: int,
) -> Any:
    """Translate: the places' maps, put together with the channels last, so that whole pixels are moved."""
    channels, whole = weights[0].shape[1] * groups, None
    if channels < CHANNELS and groups == len(grads) == 1:
        whole = gradient_of_all_places(grads[0], weights[0], paddings[0], stride, size)
    if whole is None:
        places = gradient_by_place(grads, weights, paddings, stride, size, groups)
        whole = op.Concat(*(places[place] for place in sorted(places)), axis=1)
    (down, across), (height, width) = stride, (-(-side // step) for side, step in zip(size, stride, strict=True))
    rows = op.Reshape(
        op.Transpose(whole, perm=[0, 2, 3, 1]), op.Constant(value_ints=[1, height, width, down, across * channels])
    )
    pixels = op.Reshape(
        op.Transpose(rows, perm=[0, 1, 3, 2, 4]), op.Constant(value_ints=[1, height * down, width * across, channels])
    )
    whole = op.Transpose(pixels, perm=[0, 3, 1, 2])
    if [height * down, width * across] == [*size]:
        return whole
    return op.Slice(
        whole, op.Constant(value_ints=[0, 0]), op.Constant(value_ints=[*size]), op.Constant(value_ints=[2, 3])
    )

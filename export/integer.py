"""Gradients in integers: the same graph, its convolutions in 8 bits, forward and backward.

An attack takes of the gradient its signs, which bear coarse arithmetic, and processors multiply bytes several times as
fast as floats. Every map is u8 with one scale: after a ReLU from zero, everything else, gradients too, around 128
(signed maps are slower where it was measured, on x86-64 with onnxruntime). A scale comes from the range that a map had
on the faces of a calibration, so ranges belong to a checkpoint.

Gradients shrink a thousandfold as a loss is reached, which no fixed scale bears. So where the gradient enters the
convolutions it is scaled to unit length. Its size is lost.

Weights stay as they are stored; a few nodes round them to i8, by output channel, which the runtime computes once, when
it loads a graph. So forward and backward, whose output channels differ, share one copy in the file.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import torch
from onnx_ir.passes import common
from onnxscript import opset18 as op

from face_encryption.export.graphs import TRANSLATIONS, Translations, gradient_graph
from face_encryption.export.strided import interleaved_gradient, join_strided
from face_encryption.export.surrogate import Objective, Surrogate

aten = torch.ops.aten

MIDDLE = 128
# Processors without byte dot products sum two products in 16 bits, and larger weights could saturate that: so results
# are the same on all.
LARGEST = 63
Arithmetic = Literal["fp32", "int8"]
CONVOLUTIONS = ("Conv", "ConvTranspose")


class RangesError(ValueError):
    """Ranges that are missing, damaged, or of another network."""


def float_gradient(surrogate: Surrogate, objective: Objective) -> ir.Model:
    """Export a gradient as `gradient_graph` does, of unit length where it enters the convolutions.

    None of the detours that spare a runtime's blocked layout: integer maps know no such layout.
    """
    plain: Translations = {
        aten.threshold_backward.default: _threshold_backward,
        torch.ops.face_encryption.strided_gradient.default: interleaved_gradient,
    }
    model = gradient_graph(surrogate, objective, (join_strided,), TRANSLATIONS | plain)
    backward = depending(model.graph, model.graph.inputs[1])
    first = next(node for node in model.graph if node.op_type in CONVOLUTIONS and node.inputs[0] in backward)
    gradient = first.inputs[0]
    assert gradient is not None
    _to_unit_length(model.graph, gradient)
    return model


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


def depending(graph: ir.Graph, value: ir.Value) -> set[ir.Value]:
    """Return all values computed from one; those computed from the target are the backward pass."""
    found = {value}
    for node in graph:
        if not found.isdisjoint(each for each in node.inputs if each):
            found.update(node.outputs)
    return found


def integer_gradient(model: ir.Model, ranges: Sequence[float]) -> ir.Model:
    """Return a float gradient in integers, with the `ranges` of the maps that `ranged` names; the model is used up.

    The last convolution, that makes the gradient of the image, stays in float: it is a small part of the work and its
    result is what is wanted. The gradient is the true one but for a factor. Raises `RangesError` when there are not as
    many ranges as maps.
    """
    taken = _InOrder(ranges)
    _Integers(model.graph, taken).convert()
    if len(taken) != len(ranges):
        raise RangesError(f"{len(ranges)} ranges for {len(taken)} maps of this network")
    return common.RemoveUnusedNodesPass()(model).model


def ranged(model: ir.Model) -> list[str]:
    """Return the names of the maps of a float gradient whose ranges are wanted, in order; the model is used up."""
    asked = _InOrder(())
    _Integers(model.graph, asked).convert()
    return [*asked]


class _InOrder(dict[str, float]):
    """Ranges in the order in which maps ask for theirs; one where there are no more."""

    def __init__(self, ranges: Iterable[float]) -> None:
        super().__init__()
        self.left = iter(ranges)

    def __missing__(self, name: str) -> float:
        self[name] = next(self.left, 1.0)
        return self[name]


@dataclass(frozen=True)
class Quantised:
    """A map as integers: it is `scale` times (`value` - `zero`), with `value` u8, `scale` f32 and `zero` u8 scalars."""

    value: ir.Value
    scale: ir.Value
    zero: ir.Value
    middle: int


class _Integers:
    """Turns a graph into integers, in place, node by node; floats and integers are made of each other where needed."""

    def __init__(self, graph: ir.Graph, ranges: dict[str, float]) -> None:
        self.graph, self.ranges = graph, ranges
        self.quantised: dict[ir.Value, Quantised] = {}
        self.last = self._last_convolution()
        self.tape = ir.tape.Tape()

    def convert(self) -> None:
        kinds = {"Conv": self._convolution, "Add": self._add, "Where": self._mask, "Greater": self._positive}
        kinds |= dict.fromkeys(("MaxPool", "DepthToSpace", "Slice"), self._pass_on) | {"Concat": self._concat}
        for node in list(self.graph):
            self.tape = ir.tape.Tape()
            done = node.outputs[0] in self.quantised or (node.op_type in kinds and kinds[node.op_type](node))
            if not done:
                for index, value in enumerate(node.inputs):
                    if value in self.quantised:
                        node.replace_input_with(index, self._float(value))
            self.graph.insert_before(node, self.tape.nodes)

    def _last_convolution(self) -> ir.Node | None:
        node = self.graph.outputs[0].producer()
        while node and node.op_type not in CONVOLUTIONS:
            node = node.inputs[0].producer() if node.inputs[0] else None
        return node

    def _op(self, kind: str, inputs: Sequence[ir.Value | None], **attributes: Any) -> ir.Value:
        return self.tape.op(kind, inputs, attributes)

    def _constant(self, value: npt.NDArray[Any]) -> ir.Value:
        return self._op("Constant", [], value=ir.tensor(value))

    def _float(self, value: ir.Value) -> ir.Value:
        # One for each use: so runtimes recognize an integer addition.
        quantised = self.quantised[value]
        return self._op("DequantizeLinear", [quantised.value, quantised.scale, quantised.zero])

    def _integer(self, value: ir.Value) -> Quantised:
        if value not in self.quantised:
            scale, zero, middle = self._scale(value, MIDDLE)
            self.quantised[value] = Quantised(self._op("QuantizeLinear", [value, scale, zero]), scale, zero, middle)
        return self.quantised[value]

    def _scale(self, value: ir.Value, middle: int) -> tuple[ir.Value, ir.Value, int]:
        """Return scale and zero point of a map; maps that are put together to one have those of the whole."""
        users = [use.node for use in value.uses()]
        while len(users) == 1 and users[0].op_type == "Concat":
            value = users[0].outputs[0]
            users = [use.node for use in value.uses()]
        name = value.name
        assert name is not None
        scale = max(self.ranges[name], 1e-12) / (255 - middle)
        return self._constant(np.array(scale, np.float32)), self._constant(np.array(middle, np.uint8)), middle

    def _result(self, node: ir.Node) -> tuple[ir.Value, int]:
        """Return what a node's integers stand for, and their middle: a ReLU after it costs nothing."""
        users = [use.node for use in node.outputs[0].uses()]
        if len(users) == 1 and users[0].op_type == "Relu":
            return users[0].outputs[0], 0
        return node.outputs[0], MIDDLE

    def _convolution(self, node: ir.Node) -> bool:
        image, weight, *bias = node.inputs
        if node is self.last or image is None or weight is None:
            return False
        source = self._integer(image)
        result, middle = self._result(node)
        scale, zero, _ = self._scale(result, middle)
        integers, scales = self._weight(weight)
        inputs = [source.value, source.scale, source.zero, integers, scales, self._constant(np.array(0, np.int8))]
        inputs += [scale, zero]
        if bias and bias[0]:
            step = self._op("Div", [bias[0], self._op("Mul", [scales, source.scale])])
            inputs.append(self._op("Cast", [self._op("Round", [step])], to=ir.DataType.INT32))
        value = self.tape.op("QLinearConv", inputs, node.attributes)
        self.quantised[result] = Quantised(value, scale, zero, middle)
        return True

    def _weight(self, weight: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Return i8 weights like f32 [O, I, h, w], of at most `LARGEST`, and the scales f32 [O] that multiply them."""
        axes = self._constant(np.array([1, 2, 3]))
        highest, lowest = (self._op(kind, [weight, axes], keepdims=0) for kind in ("ReduceMax", "ReduceMin"))
        largest = self._op("Max", [highest, self._op("Neg", [lowest]), self._number(1e-30)])
        scales = self._op("Div", [largest, self._number(LARGEST)])
        # In one op: a map of floats for each step of the way would stay in memory until the graph is loaded.
        zeros = self._op("Cast", [self._op("Sub", [scales, scales])], to=ir.DataType.INT8)
        return self._op("QuantizeLinear", [weight, scales, zeros], axis=0), scales

    def _number(self, value: float) -> ir.Value:
        return self._constant(np.array(value, np.float32))

    def _add(self, node: ir.Node) -> bool:
        if not all(value in self.quantised for value in node.inputs):
            return False
        total = self._op("Add", [self._float(value) for value in node.inputs if value])
        result, middle = self._result(node)
        scale, zero, _ = self._scale(result, middle)
        self.quantised[result] = Quantised(self._op("QuantizeLinear", [total, scale, zero]), scale, zero, middle)
        return True

    def _positive(self, node: ir.Node) -> bool:
        source = self.quantised.get(node.inputs[0]) if node.inputs[0] else None
        if source is None or source.middle:
            return False
        node.outputs[0].replace_all_uses_with(self._op("Cast", [source.value], to=ir.DataType.BOOL))
        return True

    def _mask(self, node: ir.Node) -> bool:
        mask, gradient, _ = node.inputs
        if gradient not in self.quantised:
            return False
        # Runtimes make one integer product of this, which is much faster than a choice between bytes.
        source, ones = self.quantised[gradient], self._op("Cast", [mask], to=ir.DataType.UINT8)
        mask = self._op("DequantizeLinear", [ones, self._number(1), self._constant(np.array(0, np.uint8))])
        product = self._op("Mul", [self._float(gradient), mask])
        value = self._op("QuantizeLinear", [product, source.scale, source.zero])
        self.quantised[node.outputs[0]] = Quantised(value, source.scale, source.zero, source.middle)
        return True

    def _pass_on(self, node: ir.Node) -> bool:
        """Move integers about as floats would be."""
        source = self.quantised.get(node.inputs[0]) if node.inputs[0] else None
        if source is None:
            return False
        value, *others = self.tape.op_multi_out(
            node.op_type, [source.value, *node.inputs[1:]], node.attributes, num_outputs=len(node.outputs)
        )
        for before, after in zip(node.outputs[1:], others, strict=True):
            before.replace_all_uses_with(after)
        self.quantised[node.outputs[0]] = Quantised(value, source.scale, source.zero, source.middle)
        return True

    def _concat(self, node: ir.Node) -> bool:
        if not any(value in self.quantised for value in node.inputs):
            return False
        parts = [self._integer(value) for value in node.inputs if value]
        value = self.tape.op("Concat", [part.value for part in parts], node.attributes)
        self.quantised[node.outputs[0]] = Quantised(value, parts[0].scale, parts[0].zero, MIDDLE)
        return True

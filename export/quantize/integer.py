"""Gradients in integers: the same graph, its layers in 8 bits, forward and backward.

An attack goes along gradients that bear coarse arithmetic, and processors multiply bytes several times as fast as
floats. Every map is u8: after a ReLU from zero, everything else, gradients too, around 128 (signed maps are slower
where it was measured, on x86-64 with onnxruntime). A scale comes from the range that a map had on the faces of a
calibration, so ranges belong to a checkpoint.

A map has one scale. Only before a PReLU each channel has its own: slopes may be anything, so channels differ widely.
That costs nothing, for the weights of the convolutions before and after take up those scales.

Weights are i8, by output channel. Forward and backward, whose output channels differ, share the bytes of large ones
(`shared_weights.py`); of small ones each has its own.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import common

from ..graph.copies import descendants
from .float_form import entrance
from .maps import Quantised, Range, RangesError, RangesInOrder
from .nodes import Nodes

MIDDLE = 128
# Of what is 128 or 129 alone, weights may be twice as large.
LARGEST_OF_FLAGS = 126
Arithmetic = Literal["fp32", "int8"]


def integer_gradient(model: ir.Model, ranges: Sequence[Range]) -> ir.Model:
    """Return a float gradient in integers, with the `ranges` of the maps that `ranged` names; the model is used up.

    The gradient is the true one but for a factor. Raises `RangesError` when they are not those of its maps.
    """
    taken = RangesInOrder(ranges)
    _Integers(model.graph, taken).convert()
    if len(taken.names) != len(ranges):
        raise RangesError(f"{len(ranges)} ranges for {len(taken.names)} maps of this network")
    return common.RemoveUnusedNodesPass()(model).model


def ranged(model: ir.Model) -> dict[str, bool]:
    """Return the names of the maps of a float gradient whose ranges are wanted, in order; the model is used up.

    With each comes whether it is the range of each channel.
    """
    asked = RangesInOrder()
    _Integers(model.graph, asked).convert()
    return asked.names


class _Integers:
    """Turns a graph into integers, in place, node by node; floats and integers are made of each other where needed."""

    def __init__(self, graph: ir.Graph, ranges: RangesInOrder) -> None:
        self.graph, self.ranges = graph, ranges
        self.quantised: dict[ir.Value, Quantised] = {}
        self.entrance = entrance(graph)
        self.varying = descendants(graph, [each.name for each in graph.inputs])
        self.flags: dict[ir.Value | None, ir.Value] = {}
        self.factors = set[ir.Value | None]()
        self.nodes = Nodes()

    def convert(self) -> None:
        kinds = {"Conv": self._convolution, "Add": self._add, "Mul": self._multiply, "Greater": self._positive}
        kinds |= {"Where": self._where, "MaxPool": self._max_pool, "Concat": self._concat}
        kinds |= dict.fromkeys(("MatMul", "Gemm"), self._linear)
        kinds |= dict.fromkeys(("Reshape", "Slice", "Transpose"), self._pass_on)
        for node in list(self.graph):
            self.nodes = Nodes()
            done = node.outputs[0] in self.quantised or (node.op_type in kinds and kinds[node.op_type](node))
            if not done:
                for index, value in enumerate(node.inputs):
                    if value in self.quantised:
                        node.replace_input_with(index, self._float(value))
            self.graph.insert_before(node, self.nodes.tape.nodes)

    def _float(self, value: ir.Value) -> ir.Value:
        quantised = self.quantised[value]
        result = self.nodes.whole_steps(quantised)
        return self.nodes.op("Mul", [result, quantised.channels]) if quantised.channels else result

    def _integer(self, value: ir.Value) -> Quantised:
        if value not in self.quantised:
            self.quantised[value] = self.nodes.rounded(value, *self._scale(value, MIDDLE))
        return self.quantised[value]

    def _scale(self, value: ir.Value, middle: int) -> tuple[ir.Value, ir.Value, int]:
        """Return scale and zero point of a map; maps that are put together to one have those of the whole."""
        users = [use.node for use in value.uses()]
        while len(users) == 1 and users[0].op_type == "Concat":
            value = users[0].outputs[0]
            users = [use.node for use in value.uses()]
        return (
            self.nodes.constant(self.ranges.take(value) / (255 - middle)),
            self.nodes.constant(middle, np.uint8),
            middle,
        )

    def _result(self, node: ir.Node) -> tuple[ir.Value, int]:
        """Return what a node's integers stand for, and their middle: a ReLU after it costs nothing."""
        users = [use.node for use in node.outputs[0].uses()]
        if len(users) == 1 and users[0].op_type == "Relu":
            return users[0].outputs[0], 0
        return node.outputs[0], MIDDLE

    def _plain(self, value: ir.Value | None) -> Quantised | None:
        """Return the integers of a map that has one scale."""
        source = self.quantised.get(value) if value else None
        return None if source and source.channels else source

    def _convolution(self, node: ir.Node) -> bool:
        image, weight, *bias = node.inputs
        if image is None or weight is None:
            return False
        source = self._integer(image)
        if source.channels:
            # Each channel has a kernel of its own, or each kernel all channels.
            alone = "group" in node.attributes and node.attributes["group"].as_int() > 1
            weight = self.nodes.op(
                "Mul", [weight, self.nodes.shaped(source.channels, *((-1, 1) if alone else (1, -1)), 1, 1)]
            )
        integers, scales = self.nodes.weight(weight, (1, 2, 3))
        whole = self.nodes.bias(bias[0], scales, source.scale) if bias and bias[0] else None
        result, middle = self._result(node)
        channels = None
        if count := self._before_prelu(result):
            channels = self.nodes.constant(self.ranges.take(result, count).reshape(1, count, 1, 1))
            scale, zero = self.nodes.constant(1 / (255 - MIDDLE)), self.nodes.constant(MIDDLE, np.uint8)
            scales = self.nodes.op("Div", [scales, self.nodes.shaped(channels, -1)])
        else:
            scale, zero, _ = self._scale(result, middle)
        inputs = [
            source.value,
            source.scale,
            source.zero,
            integers,
            scales,
            self.nodes.constant(0, np.int8),
            scale,
            zero,
        ]
        value = self.nodes.tape.op("QLinearConv", inputs + [whole] * bool(whole), node.attributes)
        self.quantised[result] = Quantised(value, scale, zero, middle, channels)
        return True

    def _linear(self, node: ir.Node) -> bool:
        """Let a linear layer make floats of integers."""
        image, weight, *bias = node.inputs
        flipped = "transB" in node.attributes and node.attributes["transB"].as_int()
        usual = {"alpha": 1, "beta": 1, "transA": 0}
        plain = all(node.attributes[name].value == value for name, value in usual.items() if name in node.attributes)
        if image is None or weight is None or weight in self.varying or not plain:
            return False
        source = self._integer(image) if image is self.entrance else self._plain(image)
        if source is None:
            return False
        rows = weight if flipped else self.nodes.transposed(weight)
        integers, scales = self.nodes.weight(rows, (1,))
        integers = self.nodes.op("Transpose", [integers], perm=[1, 0])
        product = self.nodes.op("MatMulInteger", [source.value, integers, source.zero])
        result = self.nodes.op("Cast", [product], to=ir.DataType.FLOAT)
        result = self.nodes.op("Mul", [result, self.nodes.op("Mul", [scales, source.scale])])
        if bias and bias[0]:
            result = self.nodes.op("Add", [result, bias[0]])
        before = node.outputs[0]
        result.name, before.name = before.name, f"{before.name}.float"
        result.shape, result.type = before.shape, before.type
        before.replace_all_uses_with(result)
        return True

    def _before_prelu(self, value: ir.Value) -> int:
        """Return the number of channels of a map that a PReLU takes, else 0."""
        asked = [use.node.outputs[0] for use in value.uses() if use.node.op_type == "Greater"]
        if value.shape is None or len(value.shape) != 4 or not any(map(self._chooses_factor, asked)):
            return 0
        return int(value.shape.numpy()[1])

    def _chooses_factor(self, asked: ir.Value) -> bool:
        """Whether what is asked of a map chooses between two constants, as a PReLU's factor does, and nothing else."""
        users = [use.node for use in asked.uses()]
        return bool(users) and all(
            user.op_type == "Where" and self.varying.isdisjoint(each for each in user.inputs[1:] if each)
            for user in users
        )

    def _positive(self, node: ir.Node) -> bool:
        image = node.inputs[0]
        source = self.quantised.get(image) if image else None
        if image and source and source.channels and self._chooses_factor(node.outputs[0]):
            # From zero on: what is zero in integers is anything next to it.
            bounds = [self.nodes.constant(MIDDLE + each, np.uint8) for each in range(2)]
            self.flags[node.outputs[0]] = flags = self.nodes.op("Clip", [source.value, *bounds])
            flags.shape, flags.type = image.shape, ir.TensorType(ir.DataType.UINT8)
            return True
        if source is None or source.middle:
            return False
        node.outputs[0].replace_all_uses_with(self.nodes.op("Cast", [source.value], to=ir.DataType.BOOL))
        return True

    def _where(self, node: ir.Node) -> bool:
        mask, chosen, otherwise = node.inputs
        if mask in self.flags and chosen and otherwise:
            self._factor(node, chosen, otherwise)
            return True
        source = self._plain(chosen)
        if source is None or mask is None:
            return False
        # Runtimes make one integer product of this, which is much faster than a choice between bytes.
        ones = self.nodes.op("Cast", [mask], to=ir.DataType.UINT8)
        mask = self.nodes.op("DequantizeLinear", [ones, self.nodes.constant(1), self.nodes.constant(0, np.uint8)])
        self._multiplied(node, source, mask)
        return True

    def _factor(self, node: ir.Node, positive: ir.Value, negative: ir.Value) -> None:
        """Choose one of two factors by channel: a convolution of flags, in parts of the larger one."""
        flags = self.flags[node.inputs[0]]
        assert flags.shape
        reach = self.nodes.op("Max", [self.nodes.op("Abs", [each]) for each in (positive, negative)])
        apart = self.nodes.op("Sub", [positive, negative])
        integers, scales = self.nodes.weight(self.nodes.shaped(apart, -1, 1, 1, 1), (1, 2, 3), LARGEST_OF_FLAGS, 1e-3)
        one, zero = self.nodes.constant(1), self.nodes.constant(MIDDLE, np.uint8)
        step, parts = (
            self.nodes.constant(1 / (255 - MIDDLE)),
            self.nodes.op("Div", [scales, self.nodes.shaped(reach, -1)]),
        )
        whole = self.nodes.bias(self.nodes.shaped(negative, -1), scales)
        inputs = [flags, one, zero, integers, parts, self.nodes.constant(0, np.int8), step, zero, whole]
        value = self.nodes.op("QLinearConv", inputs, group=flags.shape.numpy()[1], kernel_shape=[1, 1])
        self.quantised[node.outputs[0]] = Quantised(value, step, zero, MIDDLE, reach)
        self.factors.add(node.outputs[0])

    def _multiply(self, node: ir.Node) -> bool:
        value, factor = node.inputs
        source = self.quantised.get(value) if value else None
        if source and not source.channels and factor and factor.const_value is not None:
            product, result = self.nodes.scaled(source, factor.const_value.numpy()), node.outputs[0]
            self.quantised[result] = self.nodes.rounded(product, *self._scale(result, MIDDLE))
            return True
        by = self.quantised.get(factor) if factor and factor in self.factors else None
        if source is None or by is None:
            return False
        channels = self.nodes.op("Mul", [source.channels, by.channels]) if source.channels else by.channels
        self._multiplied(node, source, self.nodes.whole_steps(by), channels)
        return True

    def _multiplied(self, node: ir.Node, source: Quantised, factor: ir.Value, channels: ir.Value | None = None) -> None:
        """Multiply by a factor of at most one, f32, which leaves a map its scale."""
        product = self.nodes.op("Mul", [self.nodes.whole_steps(source), factor])
        value = self.nodes.op("QuantizeLinear", [product, source.scale, source.zero])
        self.quantised[node.outputs[0]] = replace(source, value=value, channels=channels)

    def _add(self, node: ir.Node) -> bool:
        if not all(self._plain(value) for value in node.inputs):
            return False
        total = self.nodes.op("Add", [self._float(value) for value in node.inputs if value])
        result, middle = self._result(node)
        self.quantised[result] = self.nodes.rounded(total, *self._scale(result, middle))
        return True

    def _pass_on(self, node: ir.Node) -> bool:
        """Move integers about as floats would be."""
        source = self._plain(node.inputs[0])
        if source is None:
            return False
        value = self.nodes.tape.op(node.op_type, [source.value, *node.inputs[1:]], node.attributes)
        self.quantised[node.outputs[0]] = replace(source, value=value)
        return True

    def _max_pool(self, node: ir.Node) -> bool:
        source, (pooled, *places) = self._plain(node.inputs[0]), node.outputs
        if source is None:
            return False
        value = self.nodes.tape.op("MaxPool", [source.value], node.attributes)
        self.quantised[pooled] = replace(source, value=value)
        if places and places[0].uses():
            places[0].replace_all_uses_with(self.nodes.places(node, source))
        return True

    def _concat(self, node: ir.Node) -> bool:
        known = [self.quantised[value] for value in node.inputs if value and value in self.quantised]
        if not known or any(each.channels for each in known):
            return False
        parts = [self._integer(value) for value in node.inputs if value]
        value = self.nodes.tape.op("Concat", [part.value for part in parts], node.attributes)
        self.quantised[node.outputs[0]] = Quantised(value, parts[0].scale, parts[0].zero, MIDDLE)
        return True

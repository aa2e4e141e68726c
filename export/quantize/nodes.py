"""The nodes that maps and weights in integers need."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from .maps import Quantised

# Processors without byte dot products sum two products in 16 bits, and larger weights could saturate that: so results
# are the same on all.
LARGEST = 63
# Integers beyond have no float of their own.
EXACT = 2**24


class Nodes:
    """Makes nodes, which its `tape` collects."""

    def __init__(self) -> None:
        """Begin an empty tape."""
        self.tape = ir.tape.Tape()

    def op(self, kind: str, inputs: Sequence[ir.Value | None], **attributes: Any) -> ir.Value:
        """Make a node of one output."""
        return self.tape.op(kind, inputs, attributes)

    def constant(self, value: Any, dtype: npt.DTypeLike = np.float32) -> ir.Value:
        """Make a constant of a number or an array."""
        return self.op("Constant", [], value=ir.tensor(np.array(value, dtype)))

    def shaped(self, value: ir.Value, *shape: int) -> ir.Value:
        """Give a value another shape."""
        return self.op("Reshape", [value, self.constant(shape, np.int64)])

    def whole_steps(self, source: Quantised) -> ir.Value:
        """Return a map in floats, but for what its channels differ by."""
        # One for each use: so runtimes recognize an integer addition.
        return self.op("DequantizeLinear", [source.value, source.scale, source.zero])

    def rounded(self, value: ir.Value, scale: ir.Value, zero: ir.Value, middle: int) -> Quantised:
        """Round a map to integers of one scale."""
        return Quantised(self.op("QuantizeLinear", [value, scale, zero]), scale, zero, middle)

    def weight(
        self, weight: ir.Value, axes: tuple[int, ...], largest: int = LARGEST, least: float = 1e-30
    ) -> tuple[ir.Value, ir.Value]:
        """Return i8 weights like f32 ones, of at most `largest`, and the scales f32 [O] that multiply them.

        `axes` are all but that of the outputs, which is the first.
        """
        inner = self.constant(axes, np.int64)
        highest, lowest = (self.op(kind, [weight, inner], keepdims=0) for kind in ("ReduceMax", "ReduceMin"))
        reach = self.op("Max", [highest, self.op("Neg", [lowest]), self.constant(least)])
        scales = self.op("Div", [reach, self.constant(largest)])
        # In one op: a map of floats for each step of the way would stay in memory until the graph is loaded.
        zeros = self.op("Cast", [self.op("Sub", [scales, scales])], to=ir.DataType.INT8)
        return self._rounded_before_moves(weight, scales, zeros), scales

    def _rounded_before_moves(self, weight: ir.Value | None, scales: ir.Value, zeros: ir.Value) -> ir.Value:
        """Round a weight before it is turned for the way back: moved as bytes it takes a quarter of the memory."""
        moves, axis = [], 0
        while weight and (node := weight.producer()) and node.op_type in ("Transpose", "Slice"):
            before = node.inputs[0]
            if node.op_type == "Transpose":
                perm = node.attributes["perm"].as_ints()
                if perm[axis] == len(perm) - 1:
                    break  # by its last axis it takes a runtime ten times as long
                axis = perm[axis]
            elif before is None or before.shape is None or before.shape != weight.shape:
                break  # more would be rounded than is used
            moves.append(node)
            weight = before
        integers = self.op("QuantizeLinear", [weight, scales, zeros], axis=axis)
        for node in reversed(moves):
            integers = self.tape.op(node.op_type, [integers, *node.inputs[1:]], node.attributes)
        return integers

    def bias(self, bias: ir.Value, *scales: ir.Value) -> ir.Value:
        """Return a bias as i32 of the unit that `scales` multiply to."""
        steps = self.op("Div", [bias, self.op("Mul", scales) if len(scales) > 1 else scales[0]])
        return self.op("Cast", [self.op("Round", [steps])], to=ir.DataType.INT32)

    def places(self, node: ir.Node, source: Quantised) -> ir.Value:
        """Return where the maxima were, i64, counted as `MaxPool` does; its own way of it is slow.

        A value and its place make one float, the first of equal values the largest; so their maximum says both.
        """
        assert node.inputs[0]
        assert node.inputs[0].shape
        _, channels, *sides = node.inputs[0].shape.numpy()
        count = int(np.prod(sides))
        if 256 * count > EXACT:
            return self.tape.op_multi_out("MaxPool", [source.value], node.attributes, num_outputs=2)[1]
        before = self.constant(np.arange(count)[::-1].reshape(1, 1, *sides))
        marked = self.op("DequantizeLinear", [source.value, self.constant(count), source.zero])
        largest = self.tape.op("MaxPool", [self.op("Add", [marked, before])], node.attributes)
        value = self.op("Floor", [self.op("Div", [largest, self.constant(count)])])
        after = self.op("Sub", [largest, self.op("Mul", [value, self.constant(count)])])
        place = self.op("Cast", [self.op("Sub", [self.constant(count - 1), after])], to=ir.DataType.INT64)
        return self.op("Add", [place, self.constant(np.arange(channels).reshape(1, -1, 1, 1) * count, np.int64)])

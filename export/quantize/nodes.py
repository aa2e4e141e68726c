"""The nodes that maps and weights in integers need."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from .maps import Quantised
from .precision import LARGEST, rounded
from .shared_weights import is_shared, moved

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
        return self.op("Constant", [], value=ir.tensor(np.array(value, dtype, order="C")))

    def shaped(self, value: ir.Value, *shape: int) -> ir.Value:
        """Give a value another shape."""
        return self.op("Reshape", [value, self.constant(shape, np.int64)])

    def whole_steps(self, source: Quantised) -> ir.Value:
        """Return a map in floats, but for what its channels differ by."""
        # One for each use: so runtimes recognize an integer addition.
        return self.op("DequantizeLinear", [source.value, source.scale, source.zero])

    def transposed(self, weight: ir.Value) -> ir.Value:
        """Transpose a matrix, or take it as it was before."""
        node = weight.producer()
        before = node.inputs[0] if node and node.op_type == "Transpose" else None
        return before or self.op("Transpose", [weight], perm=[1, 0])

    def scaled(self, source: Quantised, factors: npt.NDArray[np.float32]) -> ir.Value:
        """Multiply a map by positive constants in bytes; small ones may be coarse, for what they multiply is small."""
        step, zero = factors.max() / 255, self.constant(0, np.uint8)
        whole = self.constant(np.rint(factors / step), np.uint8)
        by = self.op("DequantizeLinear", [whole, self.constant(step), zero])
        return self.op("Mul", [self.whole_steps(source), by])

    def rounded(self, value: ir.Value, scale: ir.Value, zero: ir.Value, middle: int) -> Quantised:
        """Round a map to integers of one scale."""
        return Quantised(self.op("QuantizeLinear", [value, scale, zero]), scale, zero, middle)

    def weight(
        self, weight: ir.Value, axes: tuple[int, ...], largest: int = LARGEST, least: float = 1e-30
    ) -> tuple[ir.Value, ir.Value]:
        """Return i8 weights like f32 ones, of at most `largest`, and the scales f32 [O] that multiply them.

        `axes` are all but that of the outputs, which is the first.
        """
        if is_shared(moved(weight)[0]):
            return self._shared(weight)
        inner = self.constant(axes, np.int64)
        highest, lowest = (self.op(kind, [weight, inner], keepdims=0) for kind in ("ReduceMax", "ReduceMin"))
        reach = self.op("Max", [highest, self.op("Neg", [lowest]), self.constant(least)])
        scales = self.op("Div", [reach, self.constant(largest)])
        zeros = self.op("Cast", [self.op("Sub", [scales, scales])], to=ir.DataType.INT8)
        return self.op("QuantizeLinear", [weight, scales, zeros], axis=0), scales

    def _shared(self, weight: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Return the bytes that both ways share, turned as the weight is."""
        whole, moves = moved(weight)
        assert whole is not None
        assert whole.const_value is not None
        narrow = rounded(whole.const_value.numpy())
        integers, scales = self.constant(narrow.values, np.int8), narrow.scale.flatten()
        assert not moves or (scales == 1).all(), f"{whole.name} is turned, but its scales are not the gradient's"
        axes = [*range(narrow.values.ndim)]
        for node in moves:
            integers = self.tape.op(node.op_type, [integers, *node.inputs[1:]], node.attributes)
            if node.op_type == "Transpose":
                axes = [axes[axis] for axis in node.attributes["perm"].as_ints()]
        return integers, self.constant(scales if axes[0] == 0 else np.ones(narrow.values.shape[axes[0]]))

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

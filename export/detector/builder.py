"""ONNX graphs written by hand, with Python's arithmetic for their nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

OPSET = 18
IR_VERSION = 8  # the lowest that opset 18 allows, so that every onnxruntime since 1.14 reads the file

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Value:
    """A tensor inside a graph under construction. Arithmetic on it adds the node and returns the result's value."""

    graph: GraphBuilder
    name: str

    def __add__(self, other: Value | Array | np.generic) -> Value:
        """Elementwise sum, with broadcasting."""
        return self.graph.add("Add", self, other)

    def __sub__(self, other: Value | Array | np.generic) -> Value:
        """Elementwise difference, with broadcasting."""
        return self.graph.add("Sub", self, other)

    def __mul__(self, other: Value | Array | np.generic) -> Value:
        """Elementwise product, with broadcasting."""
        return self.graph.add("Mul", self, other)

    def __truediv__(self, other: Value | Array | np.generic) -> Value:
        """Elementwise quotient, with broadcasting."""
        return self.graph.add("Div", self, other)


@dataclass
class GraphBuilder:
    """Collects inputs, nodes, outputs and constants (numpy arrays and scalars, each stored once) for a model.

    `prefix` begins every name: those of a loop's body must not be those of what is around it.
    """

    prefix: str = ""
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[tuple[str, tuple[int, ...], bytes], onnx.TensorProto] = field(default_factory=dict)
    inputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    outputs: list[onnx.ValueInfoProto] = field(default_factory=list)

    def add(self, operator: str, *inputs: Value | Array | np.generic | None, **attributes: Any) -> Value:
        """Add a node with one output and return that output. None stands for an optional input that is left out."""
        names = ["" if x is None else x.name if isinstance(x, Value) else self.constant(x).name for x in inputs]
        output = f"{self.prefix}{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, names, [output], name=output, **attributes))
        return Value(self, output)

    def add_two(self, operator: str, *inputs: Value | Array | np.generic, **attributes: Any) -> tuple[Value, Value]:
        """Add a node with two outputs, as `add` does."""
        first = self.add(operator, *inputs, **attributes)
        second = f"{first.name}_second"
        self.nodes[-1].output.append(second)
        return first, Value(self, second)

    def add_graph(self, graph: onnx.GraphProto, *inputs: Value) -> list[Value]:
        """Add the nodes and weights of a finished graph, given its inputs in order; return its outputs in order."""
        values = {given.name: value for given, value in zip(graph.input, inputs, strict=True)}
        values |= {tensor.name: self.constant(numpy_helper.to_array(tensor)) for tensor in graph.initializer}
        for node in graph.node:
            attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
            (output,) = node.output
            values[output] = self.add(node.op_type, *(values.get(name) for name in node.input), **attributes)
        return [values[value.name] for value in graph.output]

    def constant(self, array: Array | np.generic) -> Value:
        """Return the value of a constant of the array's own type and shape."""
        array = np.asarray(array)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self.constants:
            self.constants[key] = numpy_helper.from_array(array, f"{self.prefix}constant_{len(self.constants)}")
        return Value(self, self.constants[key].name)

    def input(self, name: str, element_type: int, shape: Sequence[int | str | None]) -> Value:
        """Declare a graph input; a dimension with a name may have any length."""
        self.inputs.append(helper.make_tensor_value_info(name, element_type, shape))
        return Value(self, name)

    def output(self, name: str, value: Value, element_type: int, shape: Sequence[int | str | None]) -> None:
        """Declare a value to be a graph output."""
        self.nodes.append(helper.make_node("Identity", [value.name], [name], name=name))
        self.outputs.append(helper.make_tensor_value_info(name, element_type, shape))

    def loop(
        self, count: Value, rows: Value, body: Callable[[GraphBuilder, Value, Value], tuple[Value, Value]]
    ) -> Value:
        """Add a loop that makes one table of another, float32 [K, C], as often as `count`, int64, says at most.

        `body` is given the builder of what is repeated, the number of the round from 0 and the table, and returns the
        next table, of the same columns, and whether to go on, bool. Values from outside are for it to take over by
        `within`.
        """
        inner = GraphBuilder(prefix=f"{self.prefix}loop_{len(self.nodes)}.")
        turn = inner.input(f"{inner.prefix}round", onnx.TensorProto.INT64, [])
        inner.input(f"{inner.prefix}going", onnx.TensorProto.BOOL, [])
        table = inner.input(f"{inner.prefix}rows", onnx.TensorProto.FLOAT, [None, None])
        after, goes_on = body(inner, turn, table)
        inner.output(f"{inner.prefix}goes_on", goes_on, onnx.TensorProto.BOOL, [])
        inner.output(f"{inner.prefix}next_rows", after, onnx.TensorProto.FLOAT, [None, None])
        constants = list(inner.constants.values())
        graph = helper.make_graph(inner.nodes, "body", inner.inputs, inner.outputs, constants)
        return self.add("Loop", count, None, rows, body=graph)

    def within(self, value: Value) -> Value:
        """Return a value of the graph around this one, as one to go on with here."""
        return Value(self, value.name)

    def model(self, name: str) -> onnx.ModelProto:
        """Make a model of everything added so far; only the default operator set is used."""
        graph = helper.make_graph(self.nodes, name, self.inputs, self.outputs, list(self.constants.values()))
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, producer_name="face-encryption", ir_version=IR_VERSION, opset_imports=opsets)

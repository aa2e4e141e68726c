"""TensorFlow Lite in, ONNX nodes out: just the operators of MediaPipe's BlazeFace, read from the flatbuffer itself.

The converter needs neither TensorFlow nor its runtime. TensorFlow Lite stores pictures as [batch, height, width,
channels] and ONNX convolves [batch, channels, height, width], so every rank-4 tensor lives transposed in the ONNX
graph; the input and the outputs keep the layout of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import tflite
from onnx import helper, numpy_helper

OPSET = 18
IR_VERSION = 8  # the lowest that opset 18 allows, so that every onnxruntime since 1.14 reads the file
NHWC_TO_NCHW = [0, 3, 1, 2]
NCHW_TO_NHWC = [0, 2, 3, 1]

Array = npt.NDArray[Any]
_OPERATOR_NAMES = {code: name for name, code in vars(tflite.BuiltinOperator).items() if isinstance(code, int)}
_TYPES = {
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.INT32: np.int32,
}


class UnsupportedOperatorError(ValueError):
    """A .tflite file uses an operator, option or data type that the converter does not know; the message names it."""


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


def add_tflite(builder: GraphBuilder, model: bytes, image: Value) -> list[Value]:
    """Add the network of a .tflite file to a graph.

    Args:
        builder: the graph to extend.
        model: the content of the file: one subgraph, one float32 input, fp16 or float32 weights.
        image: the network's input, shaped as the file says.

    Returns:
        The outputs in the order of the file, shaped as the file says, float32. fp16 weights are stored as fp16 and
        cast, which loses nothing.

    Raises:
        UnsupportedOperatorError: an operator, a fused activation or a data type that the converter does not know.
    """
    network = Network(builder, tflite.Model.GetRootAs(model, 0))
    return network.convert(image)


class Network:
    """One conversion: the tensors of the file that exist so far, as constants (file layout) or values (ONNX layout)."""

    def __init__(self, builder: GraphBuilder, model: Any) -> None:
        """Begin with nothing; an operator is added by the method of its name in lower case, behind an underscore."""
        self.builder = builder
        self.model = model
        self.subgraph = model.Subgraphs(0)
        self.values: dict[int, Value] = {}
        self.constants: dict[int, Array] = {}

    def convert(self, image: Value) -> list[Value]:
        """Add all operators, as `add_tflite` says."""
        entry = self.subgraph.Inputs(0)
        self.values[entry] = self._transposed(image, entry, NHWC_TO_NCHW)
        for i in range(self.subgraph.OperatorsLength()):
            self._operator(self.subgraph.Operators(i))
        exits = [self.subgraph.Outputs(i) for i in range(self.subgraph.OutputsLength())]
        return [self._transposed(self.values[index], index, NCHW_TO_NHWC) for index in exits]

    def _operator(self, operator: Any) -> None:
        code = self.model.OperatorCodes(operator.OpcodeIndex())
        # Old files hold the code in a byte, new ones in an int; the unused field is 0 or a placeholder below it.
        name = _OPERATOR_NAMES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        inputs = [operator.Inputs(i) for i in range(operator.InputsLength())]
        output = operator.Outputs(0)
        if name == "DEQUANTIZE":
            self.constants[output] = self._constant(inputs[0])
            return
        convert = getattr(self, f"_{name.lower()}", None)
        if convert is None:
            raise UnsupportedOperatorError(f"the .tflite operator {name} is not supported")
        self.values[output] = convert(inputs, operator.BuiltinOptions())

    def _conv_2d(self, inputs: list[int], table: Any) -> Value:
        options = _options(tflite.Conv2DOptions, table)
        return self._convolution(inputs, options, [0, 3, 1, 2], groups=1)

    def _depthwise_conv_2d(self, inputs: list[int], table: Any) -> Value:
        options = _options(tflite.DepthwiseConv2DOptions, table)
        return self._convolution(inputs, options, [3, 0, 1, 2], groups=self._shape(inputs[0])[3])

    def _convolution(self, inputs: list[int], options: Any, order: list[int], groups: int) -> Value:
        kernel = self._constant(inputs[1]).transpose(order)
        dilations = [options.DilationHFactor(), options.DilationWFactor()]
        result = self.builder.add(
            "Conv",
            self.values[inputs[0]],
            self._float32(kernel),
            self._float32(self._constant(inputs[2])),
            group=groups,
            dilations=dilations,
            **self._window(inputs[0], options, kernel.shape[2:], dilations),
        )
        return self._activated(result, options)

    def _max_pool_2d(self, inputs: list[int], table: Any) -> Value:
        options = _options(tflite.Pool2DOptions, table)
        window = self._window(inputs[0], options, (options.FilterHeight(), options.FilterWidth()), [1, 1])
        return self._activated(self.builder.add("MaxPool", self.values[inputs[0]], **window), options)

    def _add(self, inputs: list[int], table: Any) -> Value:
        result = self.values[inputs[0]] + self.values[inputs[1]]
        return self._activated(result, _options(tflite.AddOptions, table))

    def _relu(self, inputs: list[int], table: Any) -> Value:
        return self.builder.add("Relu", self.values[inputs[0]])

    def _pad(self, inputs: list[int], table: Any) -> Value:
        pads = self._constant(inputs[1])[NHWC_TO_NCHW].T.reshape(-1).astype(np.int64)
        return self.builder.add("Pad", self.values[inputs[0]], pads)

    def _reshape(self, inputs: list[int], table: Any) -> Value:
        shape = _options(tflite.ReshapeOptions, table).NewShapeAsNumpy().astype(np.int64)
        if len(shape) == 4:
            raise UnsupportedOperatorError("the .tflite operator RESHAPE to rank 4 is not supported")
        return self.builder.add("Reshape", self._transposed(self.values[inputs[0]], inputs[0], NCHW_TO_NHWC), shape)

    def _concatenation(self, inputs: list[int], table: Any) -> Value:
        options = _options(tflite.ConcatenationOptions, table)
        axis, rank = options.Axis(), len(self._shape(inputs[0]))
        axis = NHWC_TO_NCHW.index(axis % 4) if rank == 4 else axis
        result = self.builder.add("Concat", *[self.values[index] for index in inputs], axis=axis)
        return self._activated(result, options)

    def _resize_bilinear(self, inputs: list[int], table: Any) -> Value:
        options = _options(tflite.ResizeBilinearOptions, table)
        if options.AlignCorners() or not options.HalfPixelCenters():
            raise UnsupportedOperatorError(
                "the .tflite operator RESIZE_BILINEAR is supported with half-pixel centres only"
            )
        batch, _, _, channels = self._shape(inputs[0])
        sizes = np.array([batch, channels, *self._constant(inputs[1])], np.int64)
        modes = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        return self.builder.add("Resize", self.values[inputs[0]], None, None, sizes, **modes)

    def _window(self, image: int, options: Any, kernel: Sequence[int], dilations: list[int]) -> dict[str, list[int]]:
        """Kernel, strides and explicit padding: SAME puts the odd pixel below and to the right."""
        strides = [options.StrideH(), options.StrideW()]
        before, after = [0, 0], [0, 0]
        if options.Padding() == tflite.Padding.SAME:
            for i, length in enumerate(self._shape(image)[1:3]):
                reach = (kernel[i] - 1) * dilations[i] + 1
                total = max((-(-length // strides[i]) - 1) * strides[i] + reach - length, 0)
                before[i], after[i] = total // 2, total - total // 2
        return {"kernel_shape": list(kernel), "strides": strides, "pads": before + after}

    def _activated(self, value: Value, options: Any) -> Value:
        activation = options.FusedActivationFunction()
        if activation == tflite.ActivationFunctionType.RELU:
            return self.builder.add("Relu", value)
        if activation != tflite.ActivationFunctionType.NONE:
            raise UnsupportedOperatorError(f"the .tflite fused activation function {activation} is not supported")
        return value

    def _transposed(self, value: Value, index: int, order: list[int]) -> Value:
        """Change the layout of a picture; tensors of another rank have only one layout."""
        return self.builder.add("Transpose", value, perm=order) if len(self._shape(index)) == 4 else value

    def _shape(self, index: int) -> list[int]:
        return [int(n) for n in self.subgraph.Tensors(index).ShapeAsNumpy()]

    def _constant(self, index: int) -> Array:
        if index not in self.constants:
            tensor = self.subgraph.Tensors(index)
            if tensor.Type() not in _TYPES or self.model.Buffers(tensor.Buffer()).DataLength() == 0:
                raise UnsupportedOperatorError(
                    f"the .tflite tensor {tensor.Name().decode()} is no constant of a known type"
                )
            data = self.model.Buffers(tensor.Buffer()).DataAsNumpy().tobytes()
            self.constants[index] = np.frombuffer(data, _TYPES[tensor.Type()]).reshape(self._shape(index))
        return self.constants[index]

    def _float32(self, array: Array) -> Value:
        value = self.builder.constant(np.ascontiguousarray(array))
        return value if array.dtype == np.float32 else self.builder.add("Cast", value, to=onnx.TensorProto.FLOAT)


def _options(kind: Any, table: Any) -> Any:
    """Read an operator's options as the flatbuffer table that they are."""
    options = kind()
    options.Init(table.Bytes, table.Pos)
    return options

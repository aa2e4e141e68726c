"""Face recognizers of others, given as ONNX, as PyTorch modules: to take their gradient in training and in export."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import torch
import torch.nn.functional as F  # noqa: N812
from onnx import helper, numpy_helper
from torch import Tensor, nn

from face_encryption.runtime.onnx_runtime import ort

from .aligned import AlignedRecognizer, RecognizerError

Attributes = dict[str, Any]

CPU = torch.device("cpu")


def _convolution(attributes: Attributes, image: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    stride, dilation = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
    padding = attributes.get("pads", [0, 0, 0, 0])[:2]
    return F.conv2d(image, weight, bias, stride, padding, dilation, attributes.get("group", 1))


def _pad_evenly(attributes: Attributes, weight: Tensor) -> tuple[Attributes, Tensor]:
    """Return a convolution that pads a side as much as the one across, for PyTorch pads no other way.

    Where it pads one side less, as TensorFlow does before a stride of two, zeros that the kernel [O, I, H, W] begins or
    ends with take up what it now pads more.
    """
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    if attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise RecognizerError("convolutions whose padding follows from the picture are not supported")
    if (top, left) == (bottom, right):
        return attributes, weight
    if list(attributes.get("dilations", [1, 1])) != [1, 1]:
        raise RecognizerError("dilated convolutions with uneven padding are not supported")
    y, x = max(top, bottom), max(left, right)
    return attributes | {"pads": [y, x, y, x]}, F.pad(weight, [x - left, x - right, y - top, y - bottom])


def _batch_norm(
    attributes: Attributes, image: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor
) -> Tensor:
    factor: Tensor = scale / (variance + attributes.get("epsilon", 1e-5)).sqrt()
    shape = [1, -1] + [1] * (image.dim() - 2)
    return image * factor.view(shape) + (bias - mean * factor).view(shape)


def _gemm(attributes: Attributes, left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    result: Tensor = left @ (right.T if attributes.get("transB") else right) * attributes.get("alpha", 1.0)
    return result if bias is None else result + bias * float(attributes.get("beta", 1.0))


OPS: dict[str, Callable[..., Tensor]] = {
    "Add": lambda _, left, right: left + right,
    "BatchNormalization": _batch_norm,
    "Conv": _convolution,
    "Div": lambda _, left, right: left / right,
    "Dropout": lambda _, value, *__: value,
    "Flatten": lambda attributes, value: value.flatten(attributes.get("axis", 1)),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda _, image: image.mean((2, 3), keepdim=True),
    "Identity": lambda _, value: value,
    "MatMul": lambda _, left, right: left @ right,
    "Mul": lambda _, left, right: left * right,
    "PRelu": lambda _, image, slope: F.prelu(image, slope.flatten()),
    "Relu": lambda _, image: image.relu(),
    # A model for one image writes 1 where a batch has its own size.
    "Reshape": lambda _, value, shape: value.reshape([len(value), *shape.tolist()[1:]]),
    "Sub": lambda _, left, right: left - right,
}


class OnnxNetwork(nn.Module):
    """An ONNX model of the ops in `OPS`, from images [B, 3, N, N] to embeddings."""

    def __init__(self, recognizer: AlignedRecognizer, device: torch.device = CPU) -> None:
        """Read the model onto a device. Raises `RecognizerError` for one with other ops."""
        super().__init__()
        graph = _fold(recognizer.path).graph
        self.backwards = recognizer.channels == "BGR"
        self.register_buffer("mean", torch.tensor(recognizer.mean, device=device).view(-1, 1, 1))
        self.std = recognizer.std
        self.values = {each.name: _tensor(each) for each in graph.initializer}
        self.output = graph.output[0].name
        (self.input,) = [value.name for value in graph.input if value.name not in self.values]
        self.nodes = []
        for node in graph.node:
            attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
            if node.op_type == "Constant":
                self.values[node.output[0]] = _tensor(attributes["value"])
            elif node.op_type in OPS:
                inputs = [name for name in node.input if name]
                if node.op_type == "Conv":
                    kernel = f"{inputs[1]} of {node.output[0]}"
                    attributes, self.values[kernel] = _pad_evenly(attributes, self.values[inputs[1]])
                    inputs[1] = kernel
                self.nodes.append((OPS[node.op_type], attributes, inputs, node.output[0]))
            else:
                raise RecognizerError(
                    f"{recognizer.path}: {node.op_type} is no op that a gradient can be taken through"
                )
        # Shapes stay where Python reads them.
        self.values = {
            name: value.to(device) if value.is_floating_point() else value for name, value in self.values.items()
        }

    mean: Tensor

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Embed RGB images f32 [B, 3, N, N] in levels: [B, D] of unit norm, twice, as there are no logits."""
        image = ((image.flip(1) if self.backwards else image) - self.mean) / self.std
        values = self.values | {self.input: image}
        for op, attributes, inputs, output in self.nodes:
            values[output] = op(attributes, *(values[name] for name in inputs))
        embedding = F.normalize(values[self.output].flatten(1))
        return embedding, embedding


def _fold(path: Path) -> onnx.ModelProto:
    """Read a model as onnxruntime simplifies it: batch norms folded into convolutions, constants computed."""
    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(Path(folder) / "folded.onnx")
        ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath)


def _tensor(value: onnx.TensorProto) -> Tensor:
    tensor = torch.from_numpy(numpy_helper.to_array(value).copy())
    # Numbers below the smallest normal one say nothing, and many processors take a hundred times as long over each.
    if tensor.is_floating_point():
        tensor[tensor.abs() < torch.finfo(tensor.dtype).tiny] = 0
    return tensor

"""Weights stored in fewer bits. A few nodes widen them again, and the runtime does that once, when it loads a graph.

So a graph computes in float32 at the speed it has with wide weights; only the file is smaller. `Cast` and `Mul` widen,
because runtimes keep `DequantizeLinear` for their integer kernels instead of computing it when they load.
"""

import copy
import hashlib
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from face_encryption.export.gradient import fold_batch_norm
from face_encryption.export.surrogate import Surrogate
from face_encryption.export.weights import with_bodies
from face_encryption.training.distill.onnx_network import OnnxNetwork

Precision = Literal["fp16", "int8"]
# From so many weights on a tensor of the precision int8 takes four bits each: an output then sums thousands of them,
# and their rounding errors cancel. In smaller tensors it would cost accuracy and save little.
MANY = 2**21
# Smaller ones of another's network stay as they are.
FEW = 2**10


@dataclass(frozen=True)
class Narrow:
    """A weight as it is stored: it is `values` times `scale`.

    `values` are fp16 or int8 [O, I, ...], or, when `packed`, u8 [O, I / 2, ...] with two weights in each byte, 8 added
    to both: the lower half for the first half of the inputs. `scale` is f32 [O, 1, ...].
    """

    values: npt.NDArray[Any]
    scale: npt.NDArray[np.float32]
    packed: bool = False

    def wide(self) -> npt.NDArray[np.float32]:
        """Return the weight that a graph computes with, f32 [O, I, ...]."""
        values = self.values
        if self.packed:
            values = np.concatenate([values & 15, values >> 4], axis=1).astype(np.int8) - 8
        return values.astype(np.float32) * self.scale


def rounded(weight: npt.NDArray[np.float32]) -> Narrow:
    """Round a weight f32 [O, I, ...] to 8 bits, or 4 where it is large, symmetric around zero, by output channel."""
    packed = weight.size >= MANY and weight.shape[1] % 2 == 0
    highest = 7 if packed else 127
    largest = np.abs(weight).max(axis=tuple(range(1, weight.ndim)), keepdims=True)
    # Clipping the rare large weights makes the mean square error smaller and, measured, the embedding's larger.
    scale = (np.maximum(largest, 1e-30) / highest).astype(np.float32)
    values = np.clip(np.rint(weight / scale), -highest, highest).astype(np.int8)
    if not packed:
        return Narrow(values, scale)
    first, second = np.split((values + 8).astype(np.uint8), 2, axis=1)
    return Narrow(first | second << 4, scale, packed)


def narrow_weights(model: nn.Module, surrogate: Surrogate, precision: Precision) -> dict[str, Narrow]:
    """Replace the weights of a folded recognizer, in place, by what a precision stores of them.

    `model` is the recognizer before folding. In fp16 nothing changes for a checkpoint that holds fp16: stored are its
    own weights and the factors by which folding scaled their channels. Biases stay float32. Returns what is stored, by
    the `digest` of the weight, by which `narrow_graph` finds it.
    """
    surrogate.model = copy.deepcopy(surrogate.model)  # folding leaves it some tensors of the model's own
    weights, factors = dict(model.named_parameters()), _factors(model)
    stored = {}
    for name, weight in surrogate.model.named_parameters():
        if weight.dim() < 2:
            continue
        if precision == "fp16":
            narrow = Narrow(weights[name].detach().half().numpy(), factors[name].numpy())
        else:
            narrow = rounded(weight.numpy())
        weight.copy_(torch.from_numpy(narrow.wide()))
        stored[digest(weight.numpy().tobytes())] = narrow
    return stored


def narrow_network(network: OnnxNetwork, precision: Precision) -> dict[str, Narrow]:
    """Do the same for another's recognizer, which is rounded in fp16 too."""
    stored = {}
    for name, weight in network.values.items():
        if weight.dim() < 2 or weight.numel() < FEW or not weight.is_floating_point():
            continue
        if precision == "fp16":
            ones = np.ones((len(weight), *[1] * (weight.dim() - 1)), np.float32)
            narrow = Narrow(weight.half().numpy(), ones)
        else:
            narrow = rounded(weight.numpy())
        network.values[name] = wide = torch.from_numpy(narrow.wide())
        stored[digest(wide.numpy().tobytes())] = narrow
    return stored


def _factors(model: nn.Module) -> dict[str, Tensor]:
    """Return by what folding multiplies each channel of each weight, f32 [O, 1, ...]: what it makes of ones."""
    ones = copy.deepcopy(model).requires_grad_(False)
    for weight in ones.parameters():
        if weight.dim() > 1:
            weight.fill_(1)
    folded = fold_batch_norm(ones).named_parameters()
    return {name: weight[(slice(None), *[slice(1)] * (weight.dim() - 1))] for name, weight in folded}


def narrow_graph(model: onnx.ModelProto, stored: dict[str, Narrow]) -> None:
    """Put the stored weights in place of the wide ones in a graph, with the nodes that widen them."""
    for graph in with_bodies(model.graph):
        nodes = []
        for tensor in list(graph.initializer):
            narrow = stored.get(digest(tensor.raw_data))
            if narrow is None:
                continue
            graph.initializer.remove(tensor)
            nodes += _widening(graph, tensor.name, narrow)
        own = [*graph.node]
        del graph.node[:]
        graph.node.extend([*nodes, *own])


def _widening(graph: onnx.GraphProto, name: str, narrow: Narrow) -> list[onnx.NodeProto]:
    """Add what is stored of a weight to a graph, and return the nodes that compute the weight from it."""
    nodes: list[onnx.NodeProto] = []

    def constant(suffix: str, value: npt.NDArray[Any]) -> str:
        graph.initializer.append(numpy_helper.from_array(value, f"{name}.{suffix}"))
        return f"{name}.{suffix}"

    def add(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    values = constant("narrow", narrow.values)
    if narrow.packed:
        first = add("BitwiseAnd", [values, constant("mask", np.array(15, np.uint8))], f"{name}.first")
        second = add(
            "BitShift", [values, constant("shift", np.array(4, np.uint8))], f"{name}.second", direction="RIGHT"
        )
        values = add("Concat", [first, second], f"{name}.both", axis=1)
    values = add("Cast", [values], f"{name}.float", to=TensorProto.FLOAT)
    if narrow.packed:
        values = add("Sub", [values, constant("middle", np.array(8, np.float32))], f"{name}.centred")
    add("Mul", [values, constant("scale", narrow.scale)], name)
    return nodes


def digest(data: bytes) -> str:
    """Return by which key the bytes of a weight in float32 are found."""
    return hashlib.sha256(data).hexdigest()

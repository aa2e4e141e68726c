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

from face_encryption.training.distill.onnx_network import OnnxNetwork

from ..attack.surrogate import Surrogate
from ..gradients.tracing import fold_batch_norm
from ..graph.weights import with_bodies

Precision = Literal["fp16", "int8"]
# Smaller ones of another's network stay as they are.
FEW = 2**10
# The largest integer that a weight becomes. Processors without byte dot products sum two products in 16 bits, and
# larger weights could saturate that: so results are the same on all.
LARGEST = 63


@dataclass(frozen=True)
class Narrow:
    """A weight as it is stored: it is `values`, fp16 or int8 [O, I, ...], times `scale`, f32 [O, 1, ...]."""

    values: npt.NDArray[Any]
    scale: npt.NDArray[np.float32]

    def wide(self) -> npt.NDArray[np.float32]:
        """Return the weight that a graph computes with, f32 [O, I, ...]."""
        return self.values.astype(np.float32) * self.scale


def rounded(weight: npt.NDArray[np.float32]) -> Narrow:
    """Round a weight f32 [O, I, ...] to integers of at most `LARGEST`, by output channel."""
    largest = np.abs(weight).max(axis=tuple(range(1, weight.ndim)), keepdims=True)
    # Clipping the rare large weights makes the mean square error smaller and, measured, the embedding's larger.
    scale = (np.maximum(largest, 1e-30) / LARGEST).astype(np.float32)
    return Narrow(np.clip(np.rint(weight / scale), -LARGEST, LARGEST).astype(np.int8), scale)


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


def narrow_network(network: OnnxNetwork) -> dict[str, Narrow]:
    """Do the same for another's recognizer in fp16, which rounds it."""
    stored = {}
    for name, weight in network.values.items():
        if weight.dim() < 2 or weight.numel() < FEW or not weight.is_floating_point():
            continue
        ones = np.ones((len(weight), *[1] * (weight.dim() - 1)), np.float32)
        narrow = Narrow(weight.half().numpy(), ones)
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
    for suffix, value in (("narrow", narrow.values), ("scale", narrow.scale)):
        graph.initializer.append(numpy_helper.from_array(value, f"{name}.{suffix}"))
    return [
        helper.make_node("Cast", [f"{name}.narrow"], [f"{name}.float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{name}.float", f"{name}.scale"], [name]),
    ]


def digest(data: bytes) -> str:
    """Return by which key the bytes of a weight in float32 are found."""
    return hashlib.sha256(data).hexdigest()

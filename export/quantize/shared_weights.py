"""Large weights of a gradient as bytes that both ways multiply by, so that a file holds one copy.

On the way back a weight's output channels are summed over, so no scale of theirs can wait until after the sum. The
gradient takes up these scales instead.
"""

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ..graph.copies import descendants
from .precision import rounded

CONVOLUTIONS = ("Conv", "ConvTranspose")
LINEAR = ("MatMul", "Gemm")
# Weights of as many elements are shared; for smaller ones that is not worth a product each time.
SHARED = 2**17


def moved(weight: ir.Value | None) -> tuple[ir.Value | None, list[ir.Node]]:
    """Return what a weight is before it is turned for the way back, and the nodes that turn it."""
    moves: list[ir.Node] = []
    while weight and (node := weight.producer()) and node.op_type in ("Transpose", "Slice"):
        moves.insert(0, node)
        weight = node.inputs[0]
    return weight, moves


def is_shared(weight: ir.Value | None) -> bool:
    """Whether both ways are to compute with the same bytes of a weight."""
    return weight is not None and weight.const_value is not None and weight.const_value.size >= SHARED


def carry_scales(graph: ir.Graph) -> None:
    """Multiply gradients by the scales of the large weights that they meet, and leave these their whole numbers."""
    backward = descendants(graph, [graph.inputs[1].name])
    levels: dict[ir.Value, tuple[ir.Value, ir.Value]] = {}
    done: dict[tuple[ir.Value, ir.Value], ir.Value] = {}
    for node in [each for each in graph if each.op_type in CONVOLUTIONS + LINEAR and each.inputs[0] in backward]:
        gradient, (weight, moves) = node.inputs[0], moved(node.inputs[1])
        if gradient is None or weight is None or not is_shared(weight):
            continue
        if weight not in levels:
            levels[weight] = _levels(graph, weight, [1, -1, 1, 1] if node.op_type in CONVOLUTIONS else [-1])
        whole, scales = levels[weight]
        tape = ir.tape.Tape()
        if (gradient, weight) not in done:
            done[gradient, weight] = product = tape.op("Mul", [gradient, scales])
            product.shape, product.type = gradient.shape, gradient.type
        node.replace_input_with(0, done[gradient, weight])
        for move in moves:
            whole = tape.op(move.op_type, [whole, *move.inputs[1:]], move.attributes)
        node.replace_input_with(1, whole)
        graph.insert_before(node, tape.nodes)


def _levels(graph: ir.Graph, weight: ir.Value, shape: Sequence[int]) -> tuple[ir.Value, ir.Value]:
    """Return the whole numbers that a weight becomes, as floats, and the scales by output channel in a `shape`."""
    assert weight.const_value is not None
    narrow = rounded(weight.const_value.numpy())
    arrays = {"levels": narrow.values.astype(np.float32), "scales": narrow.scale.reshape(shape)}
    made = [ir.Value(name=f"{weight.name}.{name}", const_value=ir.tensor(array)) for name, array in arrays.items()]
    for value, array in zip(made, arrays.values(), strict=True):
        value.shape, value.type = ir.Shape(array.shape), ir.TensorType(ir.DataType.FLOAT)
        graph.register_initializer(value)
    return made[0], made[1]

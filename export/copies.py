"""Nodes of a graph once more, with other inputs: what placeholders are replaced by, and what steps written out are."""

from collections.abc import Container, Iterable, Iterator
from typing import Any

import onnx_ir as ir

# What stands in a copy for each value of the original; an input that is left out has no value.
Values = dict[ir.Value | None, Any]


def copy_nodes(nodes: Iterable[ir.Node], values: Values) -> Iterator[ir.Node]:
    """Yield a copy of each node that takes `values` in place of its inputs; adds what its outputs become."""
    for node in nodes:
        copy = ir.Node(
            node.domain,
            node.op_type,
            [values[value] for value in node.inputs],
            list(node.attributes.values()),
            num_outputs=len(node.outputs),
        )
        for value, output in zip(node.outputs, copy.outputs, strict=True):
            output.type, output.shape = value.type, value.shape
            values[value] = output
        yield copy


def descendants(graph: ir.Graph, names: Container[str | None]) -> set[ir.Value]:
    """Return the inputs of these names, and all that depends on them."""
    values = {value for value in graph.inputs if value.name in names}
    for node in graph:
        if any(value in values for value in node.inputs if value):
            values.update(node.outputs)
    return values

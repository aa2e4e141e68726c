"""The steps of an attack written out one behind the other: no control flow, for accelerators and runtimes without it.

What a step computes of its inputs alone is there once, as are the weights.
"""

from collections.abc import Iterator

import onnx_ir as ir
from onnx_ir.passes import common
from onnxscript.optimizer import fold_constants

from .build import STATE, STEP_OUTPUTS
from .copies import Values, copy_nodes, descendants

WHOLE = (ir.DataType.INT64, ir.DataType.INT32, ir.DataType.BOOL)
# Of whole numbers these give whole numbers, also where they are written as floats.
EXACT = ("Cast", "Range")


def unroll(step: ir.Model, steps: int, turns: int = 1, side: int | None = None) -> ir.Model:
    """Build `attack-NAME-K.onnx` from the graph of its step, or of a round of `turns` steps.

    It takes what the step takes but what goes from step to step, and no number of steps either; it gives what the loop
    gives, the same bytes. `side` is the edge of the faces that it takes, None for any.

    Raises:
        ValueError: `steps` are no whole rounds.
    """
    if steps < 1 or steps % turns:
        raise ValueError(f"{steps} steps are not whole rounds of {turns}")
    model = ir.serde.deserialize_model(ir.serde.serialize_model(step))
    graph = model.graph
    changing = descendants(graph, STATE)
    repeated = [node for node in graph if node.outputs[0] in changing]
    inputs = {value.name: value for value in graph.inputs}
    outputs = {value.name: value for value in graph.outputs}
    tape = ir.tape.Tape()
    if "steps" in inputs:  # a step may take the number of steps itself
        planned = tape.op("Constant", [], {"value_int": steps})
        inputs["steps"].replace_all_uses_with(planned)
    values: Values = {value: value for node in repeated for value in node.inputs if value not in changing}
    graph.extend(tape.nodes)
    perturbation, buffer, iteration = (inputs[name] for name in STATE)
    losses = []
    for number in range(steps // turns):
        count = ir.node("Constant", [], {"value_int": number})
        graph.append(count)
        values[iteration] = count.outputs[0]
        graph.extend(copy_nodes(_without_start(repeated, values, iteration, first=number == 0), values))
        values[perturbation], values[buffer], protected, loss = (values[outputs[name]] for name in STEP_OUTPUTS)
        losses.append(loss)
    graph.outputs[:] = [protected, _join(graph, losses, steps)]
    for node in reversed(repeated):
        graph.remove(node, safe=True)
    protected.name = STEP_OUTPUTS[2]  # as the loop calls it
    graph.inputs[:] = [value for value in graph.inputs if value.name not in (*STATE, "steps")]
    graph.sort()
    for value in (value for node in graph for value in node.outputs if value not in graph.outputs):
        value.shape = None  # the first step's are others, and runtimes find them by themselves
    if side is not None:
        _fix_side(model, side)
    return common.RemoveUnusedNodesPass()(model).model


def _without_start(nodes: list[ir.Node], values: Values, iteration: ir.Value, first: bool) -> Iterator[ir.Node]:
    """Yield the nodes of a step but for its question whether it is the first: that is known here."""
    for node in nodes:
        asked = node.inputs[0].producer() if node.op_type == "Where" and node.inputs[0] else None
        if asked and asked.op_type == "Equal" and iteration in asked.inputs:
            values[node.outputs[0]] = values[node.inputs[1 if first else 2]]
        else:
            yield node


def _join(graph: ir.Graph, losses: list[ir.Value], steps: int) -> ir.Value:
    """Return `losses`, f32 [steps], of what the steps or rounds gave."""
    tape = ir.tape.Tape()
    flat = tape.op("Constant", [], {"value_ints": [-1]})
    joined = tape.op("Concat", [tape.op("Reshape", [loss, flat]) for loss in losses], {"axis": 0})
    joined.name, joined.type, joined.shape = "losses", ir.TensorType(ir.DataType.FLOAT), ir.Shape([steps])
    graph.extend(tape.nodes)
    return joined


def _fix_side(model: ir.Model, side: int) -> None:
    """Let a graph take squares of one side alone, and compute now all that follows from it in whole numbers.

    Fractions are left to the runtime: another's rounding would make other bytes.
    """
    graph = model.graph
    for value in (*graph.inputs, *graph.outputs):
        assert value.shape is not None
        value.shape = ir.Shape(side if str(size) == "S" else size for size in value.shape)
    fold_constants(model, onnx_shape_inference=True, should_fold=_is_exact)


def _is_exact(node: ir.Node) -> bool | None:
    """Return None, which leaves the decision to the pass, or False for what must not be computed now."""
    whole = node.op_type in EXACT or all(value.dtype in WHOLE for value in node.outputs)
    return None if whole else False

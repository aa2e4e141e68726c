"""The step of an attack on a label, repeated inside the graph: any number of steps, and it loads as fast as one.

What a step computes of its inputs alone, as the budget of each pixel, stays outside of the loop, and so does what only
the last perturbation is needed for. The weights lie inside, where runtimes find them to lay them out for their kernels.
"""

import onnx_ir as ir
from onnx_ir.passes import common

from .build import STATE, STEP_OUTPUTS

NEXT_PERTURBATION, NEXT_BUFFER, PROTECTED, LOSS = STEP_OUTPUTS


def looped(step: ir.Model) -> ir.Model:
    """Build `attack-NAME.onnx` from the graph of its step, which has no fixed shape.

    In place of what goes from step to step it takes `steps`, i64. It gives `protected`, u8 [S, S, 3], after all of them
    and `losses`, f32 [steps], the loss that each step met.
    """
    stored = ir.serde.serialize_model(step)
    model, inner = ir.serde.deserialize_model(stored), ir.serde.deserialize_model(stored)
    graph, body = model.graph, inner.graph
    outside = _take_from_outside(body, {value.name: value for value in _values(graph)})

    # A loop hands its body the number of the step and whether it goes on, and takes back whether it still does.
    going, still = (ir.val(name, ir.DataType.BOOL, []) for name in ("going", "still"))
    body.append(ir.node("Identity", [going], outputs=[still]))
    inputs, outputs = ({value.name: value for value in values} for values in (body.inputs, body.outputs))
    perturbation, momentum_buffer, iteration = (inputs[name] for name in STATE)
    body.inputs[:] = [iteration, going, perturbation, momentum_buffer]
    body.outputs[:] = [still, *(outputs[name] for name in (NEXT_PERTURBATION, NEXT_BUFFER, LOSS))]
    common.RemoveUnusedNodesPass()(inner)
    # Names of a body must not be those of what is around it.
    for value in list(_values(body)):
        value.name = f"step.{value.name}"

    steps = ir.val("steps", ir.DataType.INT64, [])
    tape = ir.tape.Tape()
    three = tape.op("Constant", [], {"value_ints": [3]})
    shape = tape.op("Concat", [three, outside["grid"], outside["grid"]], {"axis": 0})
    start = tape.op("ConstantOfShape", [shape])
    end, _, losses = tape.op_multi_out("Loop", [steps, None, start, start], {"body": body}, num_outputs=3)
    last = next(value for value in graph.outputs if value.name == NEXT_PERTURBATION)
    protected = next(value for value in graph.outputs if value.name == PROTECTED)
    last.replace_all_uses_with(end, replace_graph_outputs=True)
    losses.name, losses.type, losses.shape = "losses", ir.TensorType(ir.DataType.FLOAT), ir.Shape(["K"])
    graph.inputs[:] = [*(value for value in graph.inputs if value.name not in STATE), steps]
    graph.outputs[:] = [protected, losses]
    graph.extend(tape.nodes)
    graph.sort()
    return common.RemoveUnusedNodesPass()(model).model


def _values(graph: ir.Graph) -> list[ir.Value]:
    return [*graph.inputs, *graph.initializers.values(), *(value for node in graph for value in node.outputs)]


def _take_from_outside(body: ir.Graph, outer: dict[str | None, ir.Value]) -> dict[str | None, ir.Value]:
    """Let what depends on inputs, but not on those of `STATE`, come from outside; returns all of that by its name."""
    moving = {value for value in body.inputs if value.name in STATE}
    given = {value for value in body.inputs if value.name not in STATE}
    for node in body:
        used = {value for value in node.inputs if value}
        if used & moving:
            moving.update(node.outputs)
        elif used & given:
            given.update(node.outputs)
    for value in given:
        value.replace_all_uses_with(outer[value.name])
    return {value.name: outer[value.name] for value in given}

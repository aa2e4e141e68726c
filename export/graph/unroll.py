"""The steps of an attack written out one behind the other: no control flow, for accelerators and runtimes without it.

What a step computes of its inputs alone is there once, as are the weights.
"""

from collections.abc import Sequence

import onnx_ir as ir
from onnx_ir.passes import common
from onnxscript.optimizer import fold_constants

from .build import STATE, STEP_OUTPUTS
from .copies import Values, copy_nodes, descendants

WHOLE = (ir.DataType.INT64, ir.DataType.INT32, ir.DataType.BOOL)
# Of whole numbers these give whole numbers, also where they are written as floats.
EXACT = ("Cast", "Range")
NEXT_PERTURBATION, NEXT_BUFFER, PROTECTED, LOSS = STEP_OUTPUTS


def unroll(
    steps: Sequence[ir.Model], begin: ir.Model | None = None, end: ir.Model | None = None, side: int | None = None
) -> ir.Model:
    """Build `attack-NAME-K.onnx` from the graphs of its K steps, in order, and of what comes before and after them.

    It takes what these take, but not what they hand on nor a number of steps; it gives `protected`, u8 [S, S, 3], and
    `losses`, f32 [K], the loss that each step met: the bytes are those of the graphs run one after the other. `side`
    is the edge of the faces that it takes, None for any.
    """
    chain = _Chain(steps[0], len(steps))
    if begin:
        chain.add(begin)
    losses = []
    for number, step in enumerate(steps):
        chain.known["iteration"] = chain.constant(number)
        chain.add(step, first=number == 0)
        for name, result in zip(STATE, (NEXT_PERTURBATION, NEXT_BUFFER), strict=False):
            chain.known[name] = chain.known[result]
        losses.append(chain.known[LOSS])
    if end:
        chain.add(end)
    return chain.finish(losses, side)


class _Chain:
    """A graph that copies of other graphs are added to: each takes the outputs of earlier ones by their names.

    Attributes:
        known: the values that a graph added next finds, by name.
    """

    def __init__(self, like: ir.Model, steps: int) -> None:
        """Begin an empty graph of the operators that `like` has, for so many steps."""
        self.graph = ir.Graph([], [], nodes=[], opset_imports=dict(like.graph.opset_imports), name=like.graph.name)
        self.ir_version = like.ir_version
        self.copies: dict[int, Values] = {}
        self.known: dict[str | None, ir.Value | None] = dict.fromkeys(STATE)
        self.known["steps"] = self.constant(steps)

    def constant(self, number: int) -> ir.Value:
        node = ir.node("Constant", [], {"value_int": number})
        self.graph.append(node)
        return node.outputs[0]

    def add(self, model: ir.Model, first: bool = False) -> None:
        """Add a copy of a graph, or of what changes in it from step to step where it was added before."""
        graph, again = model.graph, id(model) in self.copies
        values = self.copies[id(model)] if again else self._prepare(model)
        changing = descendants(graph, STATE)
        nodes = [node for node in graph if not again or node.outputs[0] in changing]
        values |= {value: self.known[value.name] for value in graph.inputs if value.name in (*STATE, "steps")}
        iteration = next((value for value in graph.inputs if value.name == "iteration"), None)
        for node in nodes:
            # The question whether it is the first step has an answer here.
            asked = node.inputs[0].producer() if node.op_type == "Where" and node.inputs[0] else None
            if asked and asked.op_type == "Equal" and iteration in asked.inputs:
                values[node.outputs[0]] = values[node.inputs[1 if first else 2]]
            else:
                self.graph.extend(copy_nodes([node], values))
        self.known |= {value.name: values[value] for value in graph.outputs}

    def _prepare(self, model: ir.Model) -> Values:
        """Return what stands for the inputs and the weights of a graph that is added for the first time."""
        values: Values = {None: None}
        for value in model.graph.inputs:
            if value.name not in self.known:
                self.known[value.name] = copy = ir.Value(name=value.name, shape=value.shape, type=value.type)
                self.graph.inputs.append(copy)
            values[value] = self.known[value.name]
        for name, value in model.graph.initializers.items():
            assert value.const_value is not None
            weight = ir.tensor(value.const_value.numpy())  # a tensor has a name of its own, so it is not shared
            values[value] = copy = ir.Value(
                name=f"{len(self.copies)}.{name}", shape=value.shape, type=value.type, const_value=weight
            )
            self.graph.register_initializer(copy)
        self.copies[id(model)] = values
        return values

    def finish(self, losses: Sequence[ir.Value | None], side: int | None) -> ir.Model:
        """Return the model, with the losses of its steps."""
        tape = ir.tape.Tape()
        flat = tape.op("Constant", [], {"value_ints": [-1]})
        joined = tape.op("Concat", [tape.op("Reshape", [loss, flat]) for loss in losses], {"axis": 0})
        joined.name, joined.type, joined.shape = "losses", ir.TensorType(ir.DataType.FLOAT), ir.Shape([len(losses)])
        self.graph.extend(tape.nodes)
        protected = self.known[PROTECTED]
        assert protected
        protected.name = PROTECTED
        self.graph.outputs[:] = [protected, joined]
        for value in (value for node in self.graph for value in node.outputs if value not in self.graph.outputs):
            value.shape = None  # the first step's are others, and runtimes find them by themselves
        model = ir.Model(self.graph, ir_version=self.ir_version)
        if side is not None:
            _fix_side(model, side)
        passes = (common.CommonSubexpressionEliminationPass(), common.RemoveUnusedNodesPass())
        return ir.passes.Sequential(*passes)(model).model


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

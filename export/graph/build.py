"""PyTorch modules -> ONNX models: the recognizer, and the step of each attack."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import onnx_ir as ir
import torch
from onnx_ir.passes import Sequential, common
from torch import Tensor, nn

from ..attack.cloak import GRID as CLOAK_GRID
from ..attack.cloak import CloakBegin, CloakEnd, CloakReference, CloakStep, FaceGrid, Source
from ..attack.noise import translate_random_start
from ..attack.pgd import GRID, Attack
from ..attack.surrogate import LABEL, FaceRecognizer, Objective, Surrogate
from ..gradients.placeholder import (
    embedding_gradient_call,
    gradient_call,
    insert_gradients,
    translate_embedding_gradient_call,
    translate_gradient_call,
)
from ..gradients.rewrite import RULES, Rule
from ..gradients.tracing import GRADIENT_TRANSLATIONS, trace_gradient
from .cast import concrete_casts

OPSET = 18
Translations = dict[Callable[..., Any], Callable[..., Any]]
TRANSLATIONS: Translations = GRADIENT_TRANSLATIONS | {
    torch.ops.face_encryption.embedding_gradient.default: translate_embedding_gradient_call,
    torch.ops.face_encryption.gradient.default: translate_gradient_call,
    torch.ops.face_encryption.random_start.default: translate_random_start,
}
# Any sides but the input size, which the exporter might take for a constant.
EXAMPLE_SIDE, EXAMPLE_GRID = 200, 150
# What goes from step to step, and what a step gives; of a cloak all but the protected face.
STATE = ["perturbation", "momentum_buffer", "iteration"]
STEP_OUTPUTS = ["next_perturbation", "next_momentum_buffer", "protected", "loss"]
# What all steps of a cloak take of a face, and the state that the first of them takes.
CLOAK_BEGIN = [*FaceGrid._fields, "draws", *STATE[:2]]


def recognizer_graph(surrogate: Surrogate) -> ir.Model:
    """Build `recognizer.onnx`."""
    return to_onnx(FaceRecognizer(surrogate), {"face": _example_face()}, ["embedding", "probabilities"])


def gradient_graph(
    surrogate: Surrogate,
    objective: Objective,
    rules: Sequence[Rule] = RULES,
    translations: Translations = TRANSLATIONS,
) -> ir.Model:
    """Export `image` and the target -> `gradient`, `loss` and `embedding`.

    They are what `Attack` and `Cloak` give their gradient, and its results: image and gradient are f32 [1, 3, N, N].
    """
    image = torch.zeros(1, 3, surrogate.size, surrogate.size)
    target = objective.example if objective is LABEL else torch.zeros_like(surrogate(image)[0][0])
    inputs = {"image": image, objective.target: target}
    traced = trace_gradient(surrogate.loss(objective), [*inputs.values()], rules)
    return to_onnx(traced, inputs, ["gradient", "loss", "embedding"], translations)


def label_step_graph(gradient: ir.Model, size: int) -> ir.Model:
    """Build `attack-label-step.onnx` from the exported `LABEL` gradient of a recognizer of input `size`."""
    state = {**{name: torch.zeros(3, EXAMPLE_GRID, EXAMPLE_GRID) for name in STATE[:2]}, STATE[2]: torch.tensor(0)}
    inputs = {"face": _example_face(), "label": LABEL.example, **_label_settings(), **state}
    inputs["grid"] = torch.zeros(EXAMPLE_GRID)
    return _with_gradients(to_onnx(Attack(gradient_call, size), inputs, STEP_OUTPUTS), gradient)


def cloak_begin_graph() -> ir.Model:
    """Build `attack-feature-begin.onnx`."""
    return to_onnx(CloakBegin(), _example_begin(), CLOAK_BEGIN)


def cloak_step_graph(gradients: Sequence[ir.Model], sources: Sequence[Source], turn: int) -> ir.Model:
    """Build `attack-feature-step-TURN.onnx` from the sources' `FEATURE` gradients; every shape in it is fixed."""
    begin = _example_begin()
    found = dict(zip(CLOAK_BEGIN, CloakBegin()(*begin.values()), strict=True))
    state = {name: found.pop(name) for name in STATE[:2]}
    inputs = {
        **found,
        "reference": torch.zeros(sum(source.dimensions for source in sources)),
        "budget": torch.tensor(0.06),
        "clamp": begin["clamp"],
        "steps": torch.tensor(10),
        **state,
        STATE[2]: torch.tensor(0),
    }
    outputs = [name for name in STEP_OUTPUTS if name != "protected"]
    return _with_gradients(to_onnx(CloakStep(_placeholders(sources), turn), inputs, outputs), *gradients)


def cloak_end_graph() -> ir.Model:
    """Build `attack-feature-end.onnx`."""
    change = torch.zeros(3, CLOAK_GRID, CLOAK_GRID)
    inputs = {"face": _example_face(), "perturbation": change, "clamp": torch.tensor(32.0)}
    return to_onnx(CloakEnd(), inputs, ["protected"])


def cloak_reference_graph(gradients: Sequence[ir.Model], sources: Sequence[Source]) -> ir.Model:
    """Build `cloak-reference.onnx` from the same."""
    inputs = {"face": _example_face(), "keypoints": torch.zeros(6, 2)}
    return _with_gradients(to_onnx(CloakReference(_placeholders(sources)), inputs, ["reference"]), *gradients)


def _placeholders(sources: Sequence[Source]) -> list[Source]:
    return [
        replace(source, gradient=partial(embedding_gradient_call, which=number))
        for number, source in enumerate(sources)
    ]


def _example_face() -> Tensor:
    return torch.zeros(EXAMPLE_SIDE, EXAMPLE_SIDE, 3, dtype=torch.uint8)


def _label_settings() -> dict[str, Tensor]:
    return {
        "direction": torch.tensor(1.0),
        "epsilon": torch.tensor(8.0),
        "step_size": torch.tensor(2.0),
        "momentum": torch.tensor(1.0),
        "diversity": torch.tensor(1.0),
        "seed": torch.tensor(0),
    }


def _example_begin() -> dict[str, Tensor]:
    numbers = {"clamp": torch.tensor(32.0), "seed": torch.tensor(0)}
    return {"face": _example_face(), "keypoints": torch.zeros(6, 2), **numbers}


def to_onnx(
    module: nn.Module, inputs: dict[str, Tensor], outputs: list[str], translations: Translations = TRANSLATIONS
) -> ir.Model:
    """Export a module whose inputs are squares of any side S, or of a grid's side G, or of a shape that stays.

    The examples of squares are as large as `EXAMPLE_SIDE`, those of the grid, as the input `grid`, as `EXAMPLE_GRID`.
    """
    squares = {
        EXAMPLE_SIDE: torch.export.Dim("side", min=2, max=2**15),
        EXAMPLE_GRID: torch.export.Dim("grid", min=2, max=GRID),
    }
    shapes = [
        {axis: squares[size] for axis, size in enumerate(value.shape) if size in squares}
        if value.dim() == 3 or name == "grid"
        else {}
        for name, value in inputs.items()
    ]
    program = torch.export.export(module.eval(), tuple(inputs.values()), dynamic_shapes=shapes)
    # The exporter's optimiser would store the flipped weights of each convolution a second time.
    exported = torch.onnx.export(
        program,
        dynamo=True,
        verbose=False,
        optimize=False,
        opset_version=OPSET,
        custom_translation_table=translations,
        input_names=list(inputs),
        output_names=outputs,
    )
    assert exported is not None
    graph = exported.model.graph
    # The exporter numbers its symbols; the first is the side of the face.
    names: dict[str, str] = {}
    for value in (*graph.inputs, *graph.outputs):
        assert value.shape is not None
        for size in value.shape:
            if not isinstance(size, int) and str(size) not in names:
                names[str(size)] = "SG"[len(names)]
        value.shape = ir.Shape(size if isinstance(size, int) else names[str(size)] for size in value.shape)
    if "grid" in inputs:
        _compute_grid(graph)
    concrete_casts(exported.model)
    return _tidy(exported.model)


def _compute_grid(graph: ir.Graph) -> None:
    """Compute the length of the input `grid` from the face, as the value `grid`, i64 [1]: the smaller of S and `GRID`.

    A minimum of symbolic sizes is more than the exporter can trace.
    """
    face, grid = graph.inputs[0], graph.inputs.pop()
    tape = ir.tape.Tape()
    most, first = (tape.op("Constant", [], {"value_ints": [value]}) for value in (GRID, 0))
    edge = tape.op("Min", [tape.op("Gather", [tape.op("Shape", [face]), first]), most])
    edge.name = "grid"
    graph.insert_before(graph[0], tape.nodes)
    # The exporter takes the grid's size from any input of that size; what goes from step to step must not be asked.
    for value in (grid, *(each for each in graph.inputs if each.name in STATE)):
        for node, _ in list(value.uses()):
            if node.op_type == "Shape":
                assert node.attributes["end"].as_int() == node.attributes["start"].as_int() + 1
                node.outputs[0].replace_all_uses_with(edge)
                graph.remove(node, safe=True)
    assert not grid.uses()


def _with_gradients(model: ir.Model, *gradients: ir.Model) -> ir.Model:
    insert_gradients(model, *gradients)
    return _tidy(model)


def _tidy(model: ir.Model) -> ir.Model:
    # The same weights are flipped and the same matrices computed in several places: once is enough.
    passes = (
        common.ClearMetadataAndDocStringPass(),
        common.CommonSubexpressionEliminationPass(),
        common.RemoveUnusedNodesPass(),
        common.IdentityEliminationPass(),
    )
    return Sequential(*passes)(model).model

"""The graphs of a folder: what each is called, how it is built, and how it is compared with PyTorch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import onnx
import onnx_ir as ir
from onnx_ir.serde import serialize_model

from .attack.cloak import Source, turns_of
from .attack.surrogate import Surrogate
from .defaults import CLOAK_DEFAULTS
from .detector.build import build_detector
from .graph.build import (
    cloak_begin_graph,
    cloak_end_graph,
    cloak_reference_graph,
    cloak_step_graph,
    label_step_graph,
    recognizer_graph,
)
from .graph.loop import looped
from .graph.unroll import unroll
from .validate import Validator

# Of the cloak these steps are always written out too.
FAST: int = CLOAK_DEFAULTS["effort"]["fast"]["steps"]


@dataclass(frozen=True)
class Unrolled:
    """Which attacks are written out: their numbers of steps, and the side of their squares, None for any."""

    steps: Sequence[int] = ()
    side: int | None = None


@dataclass(frozen=True)
class GraphSpec:
    """One graph.

    Attributes:
        name: of its file, without `.onnx`.
        kind: what it is for, as `docs/artifacts.md` lists them.
        build: makes it.
        check: compares the saved file of this name with PyTorch; the validator collects what it measures.
        facts: what the manifest says of it besides its inputs and outputs.
        shares_weights: whether its large tensors go to the weights file of the folder.
    """

    name: str
    kind: str
    build: Callable[[], onnx.ModelProto]
    check: Callable[[Validator, str], None]
    facts: Mapping[str, int] = field(default_factory=dict)
    shares_weights: bool = True

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.name}.onnx"


def detector_spec(models: Path) -> GraphSpec:
    """Return the detector of the vendored models; it stands alone, since training needs nothing else."""
    return GraphSpec("detector", "detector", lambda: build_detector(models), Validator.detector, shares_weights=False)


def recognizer_spec(own: Surrogate) -> GraphSpec:
    """Return our own recognizer."""
    return GraphSpec("recognizer", "recognizer", lambda: serialize_model(recognizer_graph(own)), Validator.recognizer)


def label_specs(gradient: ir.Model, size: int, unrolled: Unrolled) -> list[GraphSpec]:
    """Return the attack on a label, a step, the loop and steps written out.

    They are made from the `LABEL` gradient of a recognizer of input `size`.
    """
    step = cache(lambda: label_step_graph(gradient, size))

    def written_out(steps: int) -> GraphSpec:
        return GraphSpec(
            f"attack-label-{steps}",
            "attack-label-unrolled",
            lambda: serialize_model(unroll([step()] * steps, side=unrolled.side)),
            lambda validator, name: validator.label_unrolled(name, steps, unrolled.side),
            {"steps": steps},
        )

    return [
        GraphSpec("attack-label-step", "attack-label-step", lambda: serialize_model(step()), Validator.label_step),
        GraphSpec("attack-label", "attack-label", lambda: serialize_model(looped(step())), Validator.label_attack),
        *map(written_out, sorted(set(unrolled.steps))),
    ]


def feature_specs(gradients: Sequence[ir.Model], sources: Sequence[Source], unrolled: Unrolled) -> list[GraphSpec]:
    """Return the cloak: begin, a step for each source, end, and steps written out.

    They are made from the sources' `FEATURE` gradients.
    """
    begin, end = cache(cloak_begin_graph), cache(cloak_end_graph)
    step = cache(lambda turn: cloak_step_graph(gradients, sources, turn))
    turns = turns_of(len(sources))

    def one(turn: int) -> GraphSpec:
        return GraphSpec(
            f"attack-feature-step-{turn}",
            "attack-feature-step",
            lambda: serialize_model(step(turn)),
            lambda validator, name: validator.cloak_step(name, sources, turn),
            {"turn": turn},
        )

    def written_out(steps: int) -> GraphSpec:
        return GraphSpec(
            f"attack-feature-{steps}",
            "attack-feature-unrolled",
            lambda: serialize_model(
                unroll([step(turns[number % len(turns)]) for number in range(steps)], begin(), end(), unrolled.side)
            ),
            lambda validator, name: validator.cloak_unrolled(name, sources, steps, unrolled.side),
            {"steps": steps},
        )

    names = "attack-feature-begin", "attack-feature-end"
    return [
        GraphSpec(names[0], names[0], lambda: serialize_model(begin()), Validator.cloak_begin),
        *map(one, range(len(sources))),
        GraphSpec(names[1], names[1], lambda: serialize_model(end()), Validator.cloak_end),
        *map(written_out, sorted({FAST, *unrolled.steps})),
    ]


def reference_spec(gradients: Sequence[ir.Model], sources: Sequence[Source]) -> GraphSpec:
    """Return what the sources see in a face, from their `FEATURE` gradients in floats."""
    return GraphSpec(
        "cloak-reference",
        "cloak-reference",
        lambda: serialize_model(cloak_reference_graph(gradients, sources)),
        lambda validator, name: validator.cloak_reference(name, sources),
    )

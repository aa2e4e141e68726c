"""The graphs of a folder: what each is called, how it is built, and how it is compared with PyTorch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import onnx
import onnx_ir as ir
from onnx_ir.serde import serialize_model

from face_encryption.export.cloak import Source
from face_encryption.export.detector import build_detector
from face_encryption.export.graphs import (
    Surrogate,
    cloak_graph,
    cloak_reference_graph,
    label_step_graph,
    recognizer_graph,
)
from face_encryption.export.loop import looped
from face_encryption.export.validate import Validator


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


def label_specs(gradient: ir.Model, size: int) -> list[GraphSpec]:
    """Return the attack on a label, a step and the loop, from the `LABEL` gradient of a recognizer of input `size`."""
    step = cache(lambda: label_step_graph(gradient, size))
    return [
        GraphSpec("attack-label-step", "attack-label-step", lambda: serialize_model(step()), Validator.label_step),
        GraphSpec("attack-label", "attack-label", lambda: serialize_model(looped(step())), Validator.label_attack),
    ]


def feature_specs(gradients: Sequence[ir.Model], sources: Sequence[Source]) -> list[GraphSpec]:
    """Return the cloak, a step for each source and the loop, from the sources' `FEATURE` gradients in their turn."""

    def step(turn: int) -> GraphSpec:
        return GraphSpec(
            f"attack-feature-step-{turn}",
            "attack-feature-step",
            lambda: serialize_model(cloak_graph(gradients, sources, [turn])),
            lambda validator, name: validator.cloak_step(name, sources, turn),
            {"turn": turn},
        )

    turns = range(len(sources))
    loop = GraphSpec(
        "attack-feature",
        "attack-feature",
        lambda: serialize_model(looped(cloak_graph(gradients, sources, turns), len(turns))),
        lambda validator, name: validator.cloak(name, sources),
    )
    return [*map(step, turns), loop]


def reference_spec(gradients: Sequence[ir.Model], sources: Sequence[Source]) -> GraphSpec:
    """Return what the sources see in a face, from their `FEATURE` gradients in floats."""
    return GraphSpec(
        "cloak-reference",
        "cloak-reference",
        lambda: serialize_model(cloak_reference_graph(gradients, sources)),
        lambda validator, name: validator.cloak_reference(name, sources),
    )

"""Each exported graph against PyTorch, before anybody uses it.

Steps amplify rounding: a sign step turns a difference of 1e-9 into a pixel difference of twice the step size. So the
graphs are compared step by step from the same perturbation, by exact bounds, and by what the whole attack achieves; not
by `allclose` of its pixels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from face_encryption.runtime.attack import run_cloak
from face_encryption.runtime.onnx_runtime import ort
from face_encryption.training.checkpoint import Description

from .attack.cloak import (
    GRID,
    CloakBegin,
    CloakEnd,
    CloakReference,
    CloakStep,
    Source,
    cloak,
    turns_of,
)
from .attack.pgd import Attack
from .attack.surrogate import LABEL, FaceRecognizer, Surrogate
from .cases import CLAMP, EPSILON, SEED, SIDES, cloak_cases, label_cases, picture, upright_keypoints
from .graph.build import CLOAK_BEGIN, STATE

Array = npt.NDArray[Any]
Module = Attack | CloakStep
# After more sign steps, two runs that differ by rounding may end at another label.
LABEL_STEPS, STEPS = 4, 8
# What graphs in integers may differ by: the direction of the gradient, and the first losses.
# On pictures of nobody; of a network with PReLUs, whose slopes turn a gradient round where a sign is unsure, .42.
INTEGER_COSINE, INTEGER_LOSS = 0.5, 0.1
# And embeddings; on faces .002 and .007, of networks without PReLUs and with.
INTEGER_REFERENCE = 0.05
# Below this part of the largest, a gradient's sign is one of rounding.
NEGLIGIBLE = 1e-3


class ParityError(ValueError):
    """An exported graph differs from its PyTorch module by more than the limits."""


@dataclass(frozen=True)
class Check:
    """One comparison: it holds when `measured` is at most `limit`."""

    graph: str
    what: str
    measured: float
    limit: float

    @property
    def ok(self) -> bool:
        """Whether the comparison holds; not-a-number never does."""
        return self.measured <= self.limit


def _feed(inputs: dict[str, Tensor]) -> dict[str, Array]:
    return {name: value.numpy() for name, value in inputs.items()}


def _difference(got: Any, want: Any) -> float:
    """Return the difference of two losses, relative for large ones: one minus a similarity can be nearly zero."""
    return abs(float(got) - float(want)) / max(1.0, abs(float(want)))


class Validator:
    """Compares the graphs of one folder with the PyTorch modules they came from; collects every comparison."""

    def __init__(
        self, model: nn.Module, description: Description, folder: Path, integers: Sequence[bool] = (False,)
    ) -> None:
        """Take the recognizer as it was before folding, and the folder with its graphs.

        `integers` says of each source of the cloak, ours the last, whether its gradient is in integers.
        """
        self.integers = integers
        self.reference = Surrogate(model, description).eval()
        self.folder = folder
        self.checks: list[Check] = []

    def session(self, name: str) -> ort.InferenceSession:
        """Check a graph's form and load it."""
        onnx.checker.check_model(str(self.folder / name))
        options = ort.SessionOptions()
        options.log_severity_level = 3
        return ort.InferenceSession(str(self.folder / name), options, providers=["CPUExecutionProvider"])

    def recognizer(self, name: str) -> None:
        """Compare embedding and probabilities."""
        session = self.session(name)
        module = FaceRecognizer(self.reference)
        for side in SIDES:
            face = picture(side)
            with torch.no_grad():
                expected = module(torch.from_numpy(face))
            for output, got, want in zip(
                session.get_outputs(), session.run(None, {"face": face}), expected, strict=True
            ):
                self._add(
                    name, f"{output.name}, largest difference ({side} px)", np.abs(got - want.numpy()).max(), 1e-4
                )

    def label_step(self, name: str) -> None:
        """Compare single steps towards or away from a label, each from PyTorch's own perturbation."""
        module = Attack(self.reference.gradient(LABEL), self.reference.size)
        for side, direction, face, settings in label_cases(FaceRecognizer(self.reference)):
            given = {"face": face, **settings}
            state = [torch.zeros(3, side, side)] * 2
            for where, got, want in self._single_steps(name, module, side, given, state, self.integers[-1]):
                self._bounds(name, face.numpy(), got[2], EPSILON, where)
                if not self.integers[-1]:
                    buffer = want[1]
                    # Where the buffer is next to nothing its sign is of rounding.
                    relevant = buffer.abs() > NEGLIGIBLE * buffer.abs().max()
                    other = np.abs(got[0] - want[0].numpy())[relevant.numpy()] > 1e-3
                    self._add(name, f"share of pixels stepped otherwise {where} {direction:+.0f}", other.mean(), 1e-3)

    def label_attack(self, name: str) -> None:
        """Compare what `LABEL_STEPS` achieve: bounds exactly, the first loss closely, the outcome within 1 %."""
        session, module = self.session(name), Attack(self.reference.gradient(LABEL), self.reference.size)
        recognizer = FaceRecognizer(self.reference)
        for side, direction, face, settings in label_cases(FaceRecognizer(self.reference)):
            got, losses = session.run(None, _feed({"face": face, **settings, "steps": torch.tensor(LABEL_STEPS)}))
            with torch.no_grad():
                want, expected = module.repeated(LABEL_STEPS, face, *settings.values())
                _, probabilities = recognizer(torch.from_numpy(got))
                _, wanted = recognizer(want)
            where = f"({side} px, direction {direction:+.0f})"
            self._bounds(name, face.numpy(), got, EPSILON, where)
            self._losses(name, losses, expected, where, self.integers[-1])
            if not self.integers[-1]:
                label = settings["label"]
                self._add(name, f"probability, difference {where}", abs(probabilities[label] - wanted[label]), 1e-2)
                self._add(name, f"another decision {where}", float(probabilities.argmax() != wanted.argmax()), 0)

    def cloak_reference(self, name: str, sources: Sequence[Source]) -> None:
        """Compare what each source of a cloak sees in a face."""
        session, module = self.session(name), CloakReference(sources)
        for side in SIDES:
            face, keypoints = torch.from_numpy(picture(side)), upright_keypoints(side)
            (got,) = session.run(None, _feed({"face": face, "keypoints": keypoints}))
            with torch.no_grad():
                want = module(face, keypoints).numpy()
            ends = np.cumsum([source.dimensions for source in sources])[:-1]
            parts = zip(np.split(got, ends), np.split(want, ends), self.integers, strict=True)
            for turn, (one, other, integer) in enumerate(parts):
                apart = 1 - one @ other / np.linalg.norm(one) / np.linalg.norm(other)
                where = f"({side} px, source {turn})"
                self._add(name, f"reference, 1 - cosine {where}", apart, INTEGER_REFERENCE if integer else 1e-5)

    def cloak_begin(self, name: str) -> None:
        """Compare what the steps of a cloak need of a face, each in parts of its largest value."""
        session, module = self.session(name), CloakBegin()
        outputs = [output.name for output in session.get_outputs()]
        for side in SIDES:
            numbers = {"clamp": torch.tensor(CLAMP), "seed": torch.tensor(SEED)}
            given = {"face": torch.from_numpy(picture(side)), "keypoints": upright_keypoints(side), **numbers}
            for output, got, want in zip(
                outputs, session.run(None, _feed(given)), module(*given.values()), strict=True
            ):
                apart = np.abs(got - want.numpy()).max() / max(float(want.abs().max()), 1.0)
                self._add(name, f"{output}, largest difference ({side} px)", apart, 1e-4)

    def cloak_end(self, name: str) -> None:
        """Compare a perturbation on the photo's pixels, also where it leaves the clamp."""
        session, module = self.session(name), CloakEnd()
        perturbation, clamp = torch.from_numpy(picture(GRID, 1)).permute(2, 0, 1) / 4 - 32, torch.tensor(CLAMP)
        for side in SIDES:
            given = {"face": torch.from_numpy(picture(side)), "perturbation": perturbation, "clamp": clamp}
            (got,) = session.run(None, _feed(given))
            where = f"({side} px)"
            self._bounds(name, given["face"].numpy(), got, CLAMP, where)
            self._add(name, f"share of other levels {where}", (got != module(*given.values()).numpy()).mean(), 1e-3)

    def cloak_step(self, name: str, sources: Sequence[Source], turn: int) -> None:
        """Compare single steps of a cloak that ask one source, each from PyTorch's own perturbation."""
        module, integer = CloakStep(self._sources(sources), turn), self.integers[turn]
        for side, face, settings in cloak_cases(sources):
            keypoints, reference, budget, clamp, seed = settings.values()
            begin = dict(zip(CLOAK_BEGIN, CloakBegin()(face, keypoints, clamp, seed), strict=True))
            numbers = {"budget": budget, "clamp": clamp, "steps": torch.tensor(STEPS)}
            given = {**begin, "reference": reference, **numbers}
            state = [given.pop(each) for each in STATE[:2]]
            for where, got, want in self._single_steps(name, module, side, given, state, integer):
                self._add(name, f"largest change in levels {where}", np.abs(got[0]).max(), CLAMP)
                if not integer:
                    difference = np.abs(got[0] - want[0].numpy())
                    self._add(name, f"change in levels, mean difference {where}", difference.mean(), 1e-2)

    def cloak_unrolled(self, name: str, sources: Sequence[Source], steps: int, side: int | None) -> None:
        """Compare what the written out steps of a cloak achieve with the one-step graphs, and with PyTorch."""
        session = self.session(name)
        names = ["begin", "end", *(f"step-{turn}" for turn in range(len(sources)))]
        begin, end, *several = (self.session(f"attack-feature-{each}.onnx") for each in names)
        turns = [several[turn] for turn in turns_of(len(sources))]
        for size, face, settings in cloak_cases(sources, [side] if side else SIDES):
            feed = _feed({"face": face, **settings})
            got, losses = session.run(None, feed)
            want = run_cloak(begin, turns, end, {**feed, "steps": np.array(steps)})
            with torch.no_grad():
                _, expected = cloak(self._sources(sources), steps, face, *settings.values())
            where = f"({size} px)"
            self._add(name, f"values unlike those of single steps {where}", (got != want).sum(), 0)
            self._bounds(name, face.numpy(), got, CLAMP, where)
            self._losses(name, losses, expected, where, any(self.integers))
            if not any(self.integers):
                self._add(name, f"last loss, difference {where}", _difference(losses[-1], expected[-1]), 5e-2)

    def label_unrolled(self, name: str, steps: int, side: int | None) -> None:
        """Compare steps on a label that are written out with the loop, byte by byte."""
        session, loop = self.session(name), self.session("attack-label.onnx")
        sides = (side, side) if side else SIDES
        for _, _, face, settings in label_cases(FaceRecognizer(self.reference), sides):
            feed = _feed({"face": face, **settings})
            got, want = session.run(None, feed), loop.run(None, {**feed, "steps": np.array(steps)})
            for output, one, other in zip(("protected", "losses"), got, want, strict=True):
                self._add(name, f"{output}, values unlike the loop's ({len(face)} px)", (one != other).sum(), 0)

    def _sources(self, sources: Sequence[Source]) -> list[Source]:
        """Return the sources, ours, the last one, as it was before folding."""
        return [*sources[:-1], replace(sources[-1], gradient=self.reference.embedding_gradient)]

    def _single_steps(
        self,
        name: str,
        module: Module,
        side: int,
        given: dict[str, Tensor],
        state: Sequence[Tensor],
        integer: bool,
    ) -> Iterator[tuple[str, list[Array], tuple[Tensor, ...]]]:
        """Compare the losses of three steps; yields for each what the graph gave and what PyTorch did.

        `state` is the perturbation and the momentum buffer that the first step takes.
        """
        session = self.session(name)
        for iteration in range(3):
            feed = {**given, **dict(zip(STATE, (*state, torch.tensor(iteration)), strict=True))}
            got = session.run(None, _feed(feed))
            with torch.no_grad():
                want = module(*feed.values())
            state = want[:2]
            where = f"({side} px, step {iteration + 1})"
            self._add(
                name, f"loss, difference {where}", _difference(got[-1], want[-1]), INTEGER_LOSS if integer else 1e-3
            )
            if integer and iteration == 0:
                # Later steps may lie beside their target, where a gradient is a difference of nearly equal numbers.
                cosine = F.cosine_similarity(torch.from_numpy(got[1]).flatten(), want[1].flatten(), 0)
                self._add(name, f"gradient, 1 - cosine {where}", 1 - cosine, INTEGER_COSINE)
            yield where, got, want

    def _losses(self, name: str, got: Array, want: Tensor, where: str, integer: bool) -> None:
        self._add(name, f"steps missing {where}", abs(len(got) - len(want)), 0)
        if not integer:
            self._add(name, f"loss at the start, difference {where}", _difference(got[0], want[0]), 1e-3)
            return
        # Pictures of nobody lead two attacks that differ by rounding to different ends, faces do not.
        for number in range(2):
            difference = _difference(got[number], want[number])
            self._add(name, f"loss after {number} steps, difference {where}", difference, INTEGER_LOSS)

    def detector(self, name: str) -> None:
        """Check the detector's shapes on a picture without a face; MediaPipe parity is a test of the project."""
        feed = {"image": picture(97), "score_threshold": np.array(0.5, np.float32), "max_faces": np.array(10)}
        boxes, scores, keypoints = self.session(name).run(None, feed)
        shapes = [boxes.shape, scores.shape, keypoints.shape]
        self._add(name, "shapes without a face", float(shapes != [(0, 4), (0,), (0, 6, 2)]), 0)

    def raise_failures(self) -> None:
        """Raise a `ParityError` that lists every comparison that does not hold."""
        failed = [f"{c.graph}: {c.what} is {c.measured:.3g}, above {c.limit:.3g}" for c in self.checks if not c.ok]
        if failed:
            raise ParityError("; ".join(failed))

    def _bounds(self, name: str, face: Array, protected: Array, limit: float, where: str) -> None:
        change = np.abs(protected.astype(int) - face.astype(int)).max()
        self._add(name, f"largest change in levels {where}", change, limit)

    def _add(self, graph: str, what: str, measured: Any, limit: float) -> None:
        self.checks.append(Check(graph, what, float(measured), limit))

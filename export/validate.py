"""Each exported graph against PyTorch, before anybody uses it.

A sign step turns a difference of 1e-9 into a pixel difference of twice the step size, so the graphs are compared step
by step from the same perturbation, by exact bounds, and by what the whole attack achieves; not by `allclose` of its
pixels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from face_encryption.export.attack import Attack
from face_encryption.export.cloak import Cloak, CloakReference, Source
from face_encryption.export.graphs import FEATURE, LABEL, FaceRecognizer, Objective, Surrogate, without_target
from face_encryption.export.integer import Arithmetic
from face_encryption.runtime.onnx_runtime import ort
from face_encryption.training.model import Description

Array = npt.NDArray[Any]
# The edge of a face, the direction of the attack, the face and the inputs of the graph that come after it.
Case = tuple[int, float, Tensor, dict[str, Tensor]]
EPSILON, STEP_SIZE, SEED = 8.0, 2.0, 7
# After more sign steps, two runs that differ by rounding may end at another label.
STEPS = 8
# What graphs in integers may differ by: the direction of the gradient, and the first losses.
INTEGER_COSINE, INTEGER_LOSS = 0.3, 0.1
# Below this part of the largest, a gradient's sign is one of rounding.
NEGLIGIBLE = 1e-3
SIDES = (97, 250)  # a face that is enlarged to the recognizer's size and one that is shrunk or nearly kept


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


def picture(side: int, seed: int = 0) -> Array:
    """Draw a smooth random picture with some noise, u8 [side, side, 3]: no photo of anybody is needed."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side] / side * 2 * np.pi
    waves = np.zeros((side, side, 3))
    for frequency in (1, 2, 3, 5, 8):
        angle, phase = random.uniform(0, 2 * np.pi, (2, 3))
        waves += np.sin(frequency * (x[..., None] * np.cos(angle) + y[..., None] * np.sin(angle)) + phase) / frequency
    return np.clip(128 + 50 * waves + random.normal(0, 4, waves.shape), 0, 255).astype(np.uint8)


def _keypoints(side: int) -> Tensor:
    """Return where a detector would find those of an upright face that fills a square, f32 [6, 2] in its pixels."""
    keypoints = torch.zeros(6, 2)
    keypoints[:4] = torch.tensor([[0.33, 0.31], [0.67, 0.3], [0.5, 0.5], [0.5, 0.67]]) * side
    return keypoints


def _difference(got: Any, want: Any) -> float:
    """Return the difference of two losses, relative for large ones: one minus a similarity can be nearly zero."""
    return abs(float(got) - float(want)) / max(1.0, abs(float(want)))


class Validator:
    """Compares the graphs of one folder with the PyTorch modules they came from; collects every comparison."""

    def __init__(
        self, model: nn.Module, description: Description, folder: Path, arithmetic: Arithmetic = "fp32"
    ) -> None:
        """Take the recognizer as it was before folding, and the folder with its graphs."""
        self.integer = arithmetic == "int8"
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

    def attack_step(self, name: str, objective: Objective) -> None:
        """Compare single steps, each from PyTorch's own perturbation."""
        module = Attack(self.reference.gradient(objective), self.reference.size)
        self._single_steps(name, module, self._cases(objective), self.integer)

    def attack(self, name: str, objective: Objective) -> None:
        """Compare what `STEPS` steps achieve: bounds exactly, the first loss closely, the outcome within 1 %."""
        session, module = self.session(name), Attack(self.reference.gradient(objective), self.reference.size)
        recognizer = FaceRecognizer(self.reference)
        for side, direction, face, settings in self._cases(objective):
            feed = {"face": face, **settings, "steps": torch.tensor(STEPS)}
            got, losses = session.run(None, {key: value.numpy() for key, value in feed.items()})
            with torch.no_grad():
                want, expected = module.repeated(STEPS, face, *settings.values())
                embedding, probabilities = recognizer(torch.from_numpy(got))
                wanted_embedding, wanted = recognizer(want)
            target = settings[objective.target]
            where = f"({side} px, direction {direction:+.0f})"
            self._bounds(name, face.numpy(), got, where)
            self._add(name, f"steps missing {where}", abs(len(losses) - STEPS), 0)
            if self.integer:
                # Pictures of nobody lead two attacks that differ by rounding to different ends, faces do not.
                for number in range(2):
                    difference = _difference(losses[number], expected[number])
                    self._add(name, f"loss after {number} steps, difference {where}", difference, INTEGER_LOSS)
                continue
            self._add(name, f"loss at the start, difference {where}", _difference(losses[0], expected[0]), 1e-3)
            if objective is FEATURE:
                self._add(name, f"embedding, 1 - similarity {where}", 1 - embedding @ wanted_embedding, 1e-2)
            else:
                self._add(name, f"probability, difference {where}", abs(probabilities[target] - wanted[target]), 1e-2)
                self._add(name, f"another decision {where}", float(probabilities.argmax() != wanted.argmax()), 0)

    def cloak_reference(self, name: str, sources: Sequence[Source]) -> None:
        """Compare what the sources of a cloak see in a face."""
        session, module = self.session(name), CloakReference(sources)
        for side, _, face, _ in self._cases(FEATURE):
            keypoints = _keypoints(side)
            (got,) = session.run(None, {"face": face.numpy(), "keypoints": keypoints.numpy()})
            with torch.no_grad():
                want = module(face, keypoints).numpy()
            self._add(name, f"references, difference ({side} px)", np.abs(got - want).max(), 1e-3)

    def cloak_step(self, name: str, sources: Sequence[Source]) -> None:
        """Compare single steps of a cloak, each from PyTorch's own perturbation."""
        self._single_steps(name, Cloak(sources), self._cloaks(sources), integer=False)

    def cloak(self, name: str, sources: Sequence[Source]) -> None:
        """Compare what `STEPS` steps of a cloak achieve: bounds exactly, its first losses closely, the last within 5 %.

        The pictures are noise to recognizers of millions of faces, so after many sign steps no two runs see the same.
        """
        session, module = self.session(name), Cloak(sources)
        for side, _, face, settings in self._cloaks(sources):
            feed = {"face": face, **settings, "steps": torch.tensor(STEPS)}
            got, losses = session.run(None, {key: value.numpy() for key, value in feed.items()})
            with torch.no_grad():
                _, expected = module.repeated(STEPS, face, *settings.values())
            where = f"({side} px)"
            self._bounds(name, face.numpy(), got, where)
            self._add(name, f"loss at the start, difference {where}", _difference(losses[0], expected[0]), 1e-3)
            self._add(name, f"steps missing {where}", abs(len(losses) - STEPS), 0)
            for number, limit in ((1, 1e-2), (STEPS - 1, 5e-2)):
                difference = _difference(losses[number], expected[number])
                self._add(name, f"loss of step {number + 1}, difference {where}", difference, limit)

    def _single_steps(self, name: str, module: Attack, cases: Iterator[Case], integer: bool) -> None:
        session = self.session(name)
        for side, _, face, settings in cases:
            perturbation = velocity = torch.zeros(3, side, side)
            for iteration in range(3):
                state = {"perturbation": perturbation, "velocity": velocity, "iteration": torch.tensor(iteration)}
                feed = {"face": face, **settings, **state}
                got, moved, protected, loss = session.run(None, {key: value.numpy() for key, value in feed.items()})
                with torch.no_grad():
                    perturbation, velocity, _, expected = module(*feed.values())
                where = f"({side} px, step {iteration + 1})"
                self._bounds(name, face.numpy(), protected, where)
                limit = INTEGER_LOSS if integer else 1e-3
                self._add(name, f"loss, difference {where}", _difference(loss, expected), limit)
                if not integer:
                    self._stepped(name, where, got, perturbation, velocity)
                elif iteration == 0:
                    # Later steps may lie beside their target, where a gradient is a difference of nearly equal numbers.
                    cosine = F.cosine_similarity(torch.from_numpy(moved).flatten(), velocity.flatten(), 0)
                    self._add(name, f"gradient, 1 - cosine {where}", 1 - cosine, INTEGER_COSINE)

    def _cloaks(self, sources: Sequence[Source]) -> Iterator[Case]:
        """Yield what `_cases` does, with the inputs of a cloak."""
        for side, direction, face, settings in self._cases(FEATURE):
            keypoints = _keypoints(side)
            with torch.no_grad():
                references = CloakReference(sources)(face, keypoints)
            shown = {"keypoints": keypoints, "references": references}
            yield side, direction, face, shown | without_target(settings)

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

    def _cases(self, objective: Objective) -> Iterator[Case]:
        """Yield faces to move towards a target and away from one."""
        recognizer = FaceRecognizer(self.reference)
        for side, direction in zip(SIDES, (1.0, -1.0), strict=True):
            face = torch.from_numpy(picture(side))
            with torch.no_grad():
                # A label far from the face would be reached halfway, where its probability is one of rounding.
                nearest = recognizer(face)[1].topk(2).indices
                label = nearest[0] if direction < 0 else nearest[1]
                # Not the face's own: beside it the gradient is a difference of nearly equal numbers, whose sign says
                # nothing of the graph.
                embedding = recognizer(face.flip(0))[0]
            yield (
                side,
                direction,
                face,
                {
                    objective.target: label if objective is LABEL else embedding,
                    "direction": torch.tensor(direction),
                    "epsilon": torch.tensor(EPSILON),
                    "step_size": torch.tensor(STEP_SIZE),
                    # Plain PGD one way, momentum and other views the other way.
                    "momentum": torch.tensor(float(direction < 0)),
                    "diversity": torch.tensor(float(direction < 0)),
                    "perceptual": torch.tensor(float(direction < 0)),
                    "seed": torch.tensor(SEED),
                },
            )

    def _bounds(self, name: str, face: Array, protected: Array, where: str) -> None:
        change = np.abs(protected.astype(int) - face.astype(int)).max()
        self._add(name, f"largest change in levels {where}", change, EPSILON)

    def _stepped(self, name: str, where: str, got: Array, expected: Tensor, velocity: Tensor) -> None:
        """Count pixels that stepped otherwise; where the velocity is next to nothing its sign is of rounding."""
        relevant = velocity.abs() > NEGLIGIBLE * velocity.abs().max()
        differing = np.abs(got - expected.numpy())[relevant.numpy()] > 1e-3
        self._add(name, f"share of pixels stepped otherwise {where}", differing.mean(), 1e-3)

    def _add(self, graph: str, what: str, measured: Any, limit: float) -> None:
        self.checks.append(Check(graph, what, float(measured), limit))

"""An attack on a face: the graphs, and the numbers that they run with."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .comparison import Subject
from .faces import Runnable
from .settings import CloakPlan, LabelPlan, Plan

# What the beginning of a cloak hands to all its steps, what they take besides, and what goes from step to step.
FIXED = ("pixels", "points", "mask", "cost", "colours", "smoothing", "draws")
SETTINGS = ("reference", "budget", "clamp", "steps")
STATE = ("perturbation", "momentum_buffer")


def run_cloak(begin: Runnable, steps: Sequence[Runnable], end: Runnable, given: Mapping[str, Any]) -> Any:
    """Return the protected square, uint8 [S, S, 3], that the graphs of a cloak make.

    Args:
        begin: makes of a face what all steps need.
        steps: of one round, in their order; each asks one of the recognizers.
        end: carries what the steps found to the photo's pixels.
        given: `face` uint8 [S, S, 3], `keypoints` float32 [6, 2] in its pixels, `reference` float32 [D], and the
            scalars `budget`, `clamp` (float32), `seed` and `steps` (int64), as `docs/artifacts.md` has them.
    """
    names = [*FIXED, *STATE]
    found = begin.run(names, {name: given[name] for name in ("face", "keypoints", "clamp", "seed")})
    feed = dict(zip(names, found, strict=True)) | {name: given[name] for name in SETTINGS}
    for number in range(int(given["steps"])):
        step, feed["iteration"] = steps[number % len(steps)], np.array(number, np.int64)
        feed |= zip(STATE, step.run([f"next_{name}" for name in STATE], feed), strict=True)
    last = {"face": given["face"], "perturbation": feed["perturbation"], "clamp": given["clamp"]}
    return end.run(["protected"], last)[0]


@dataclass(frozen=True)
class CloakAttack:
    """The graphs of a cloak, as `run_cloak` takes them, and the numbers of each attempt.

    The next one of the `plans` is made while a face is still a match.
    """

    begin: Runnable
    steps: Sequence[Runnable]
    end: Runnable
    plans: tuple[CloakPlan, ...]

    def __call__(self, square: NDArray[np.uint8], subject: Subject, seed: int, attempt: int = 0) -> Any:
        """Return the protected square, uint8 [S, S, 3].

        Args:
            square: as it is in the photo now, uint8 [S, S, 3].
            subject: the face.
            seed: of the random start.
            attempt: the number of the plan, from 0.
        """
        given = {"keypoints": subject.part.keypoints, "reference": subject.reference, **numbers(self.plans[attempt])}
        return run_cloak(self.begin, self.steps, self.end, {"face": square, "seed": np.array(seed), **given})


@dataclass(frozen=True)
class LabelAttack:
    """The graph of an attack on a label.

    Attributes:
        graph: all steps.
        plans: the numbers of the one attempt.
        label: the class to move towards; None for none.
    """

    graph: Runnable
    plans: tuple[LabelPlan, ...]
    label: int | None

    def __call__(self, square: NDArray[np.uint8], subject: Subject, seed: int, attempt: int = 0) -> Any:
        """Return the protected square, as `CloakAttack` does; our recognizer has looked at the face `before`."""
        assert subject.before
        label = int(np.argmax(subject.before.probabilities)) if self.label is None else self.label
        direction = np.array(-1 if self.label is None else 1, np.float32)
        given = {"label": np.array(label), "direction": direction, **numbers(self.plans[attempt])}
        return self.graph.run(["protected"], {"face": square, "seed": np.array(seed), **given})[0]


def numbers(plan: Plan) -> dict[str, NDArray[Any]]:
    """Return the numbers of a plan as the graphs take them."""
    return {name: np.array(value, np.int64 if name == "steps" else np.float32) for name, value in asdict(plan).items()}

"""How strongly, in which direction and for which faces a photo is protected."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from .errors import SettingError
from .faces import Box
from .manifest import CloakDefaults, LabelDefaults, Rung
from .photo import MetadataPolicy

T = TypeVar("T")
Strength = Literal["low", "medium", "high"]
Effort = Literal["fast", "normal", "thorough"]


@dataclass(frozen=True)
class Settings:
    """What the user chose. Where a number is None, the artifacts' defaults decide.

    Attributes:
        strength: how much of the change may be seen, by name; `budget` and `clamp`, or `epsilon`, take its place.
        effort: a number of steps by name; `steps` takes its place. A cloak that leaves a face a match is made again,
            with more steps, then up to the upper end of its strength; but never with more than `steps`, `budget` and
            `clamp` say.
        budget: of a cloak: the mean cost of the change in a face's square, about 1 - SSIM, in (0, 1].
        clamp: of a cloak: no pixel changes by more than this, in pixel levels, in [1, 255].
        steps: how many steps the attack takes, in [1, 1000].
        label: the identity to move towards (targeted); None for nobody.
        away: move away from the identity that the recognizer sees (non-targeted) instead of from the face itself, which
            is the default and needs no identity (a cloak).
        epsilon: of `label` and `away`: no pixel changes by more than this, in pixel levels, in [1, 255].
        step_size: of `label` and `away`: how far one step goes, in pixel levels, above 0. By default it is in
            proportion to epsilon.
        gallery: float32 [N, D], what `Protector.enroll` returned of photos by which the people are known: each face
            moves away from those that match it too, on average. None for the face alone.
        seed: of the random start; the n-th face of a photo takes seed + n - 1.
        faces: the numbers of the faces to protect, as `Protector.detect` orders them, from 1; None for all.
        min_score: from this score of the detector on, above 0 and at most 1, something counts as a face. None for the
            artifacts' default.
        small_faces: look for faces of less than a fiftieth of the photo's width too, which takes longer.
        boxes: faces given by hand, each x0, y0, x1, y1 in pixels of the upright photo.
        metadata: "strip" removes EXIF, XMP and comments from the written file, "keep" keeps them.

    A lossy format adds its own loss to what `clamp` and `epsilon` allow.

    Raises:
        SettingError: a number is out of range, or for the other kind of attack.
    """

    strength: Strength = "medium"
    effort: Effort = "normal"
    budget: float | None = None
    clamp: float | None = None
    steps: int | None = None
    label: str | None = None
    away: bool = False
    epsilon: float | None = None
    step_size: float | None = None
    gallery: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    seed: int = 0
    faces: tuple[int, ...] | None = None
    min_score: float | None = None
    small_faces: bool = False
    boxes: tuple[Box, ...] = ()
    metadata: MetadataPolicy = "strip"

    @property
    def labelled(self) -> bool:
        """Whether an identity decides the direction; else it is a cloak."""
        return self.label is not None or self.away

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.label is not None and self.away:
            raise SettingError("a face moves towards a label or away from its own identity: choose one")
        if self.labelled:
            for name in ("gallery", "budget", "clamp"):
                if getattr(self, name) is not None:
                    raise SettingError(f"{name} is for faces that move away from themselves, not for labels")
        elif self.epsilon is not None or self.step_size is not None:
            raise SettingError("epsilon and step size are for labels; a cloak has a budget and a clamp")
        if self.budget is not None and not 0 < self.budget <= 1:  # also refuses NaN
            raise SettingError(f"budget is {self.budget:g}; it is above 0 and at most 1, such as 0.04")
        for name, levels in (("clamp", self.clamp), ("epsilon", self.epsilon)):
            if levels is not None and not 1 <= levels <= 255:
                raise SettingError(f"{name} is {levels:g}; it is in pixel levels, from 1 to 255")
        if self.step_size is not None and not (math.isfinite(self.step_size) and self.step_size > 0):
            raise SettingError(f"step size is {self.step_size:g}; it is in pixel levels and above 0")
        if self.steps is not None and not 1 <= self.steps <= 1000:
            raise SettingError(f"steps is {self.steps}; it is from 1 to 1000")
        if not 0 <= self.seed < 2**31:
            raise SettingError(f"seed is {self.seed}; it is from 0 to {2**31 - 1}")
        check_detection(self.min_score, self.boxes)
        if self.faces is not None and any(number < 1 for number in self.faces):
            raise SettingError("faces are numbered from 1")


def check_detection(min_score: float | None, boxes: Iterable[Box]) -> None:
    """Raise a `SettingError` unless the score is in range and each box has a size."""
    if min_score is not None and not 0 < min_score <= 1:  # also refuses NaN
        raise SettingError(f"min score is {min_score:g}; it is above 0 and at most 1, such as 0.4")
    for x0, y0, x1, y1 in boxes:
        if not (math.isfinite(x0 + y0 + x1 + y1) and x1 > x0 and y1 > y0):
            raise SettingError(
                f"the box {x0:g},{y0:g},{x1:g},{y1:g} has no size; it is left, top, right, bottom in pixels"
            )


@dataclass(frozen=True)
class CloakPlan:
    """The numbers that a cloak runs with, as in `Settings`."""

    budget: float
    clamp: float
    steps: int

    @property
    def bound(self) -> float:
        """No pixel changes by more than this, in levels."""
        return self.clamp


@dataclass(frozen=True)
class LabelPlan:
    """The numbers that an attack on a label runs with, as in `Settings`.

    `momentum` is what each step keeps of the gradients before it, `diversity` how much the views differ.
    """

    epsilon: float
    step_size: float
    steps: int
    momentum: float
    diversity: float

    @property
    def bound(self) -> float:
        """No pixel changes by more than this, in levels."""
        return self.epsilon


Plan = CloakPlan | LabelPlan


def plan_cloak(defaults: CloakDefaults, settings: Settings) -> tuple[CloakPlan, ...]:
    """Return the attempts of a cloak at what the user chose, in order.

    The first is the strength's first rung with the effort's steps. Those after it are for a face that is still a match:
    the same rung, then the following ones, each with the most steps of any effort. A budget or a clamp given by hand
    makes one rung of it with what the first rung says of the other; steps given by hand are those of all attempts.

    Raises:
        SettingError: the artifacts know no strength or effort of this name.
    """
    rungs = _named(defaults.strength, "strength", settings.strength)
    if settings.budget is not None or settings.clamp is not None:  # the look is chosen by hand
        rungs = (Rung(_first(settings.budget, rungs[0].budget), _first(settings.clamp, rungs[0].clamp)),)
    effort = _named(defaults.effort, "effort", settings.effort)
    steps = settings.steps or effort
    most = settings.steps or max(steps, *defaults.effort.values())
    attempts = [
        CloakPlan(rung.budget, rung.clamp, n) for rung, n in ((rungs[0], steps), *((each, most) for each in rungs))
    ]
    return tuple(dict.fromkeys(attempts))


def plan_label(defaults: LabelDefaults, settings: Settings) -> LabelPlan:
    """Return what an attack on a label does for what the user chose; as `plan_cloak`, but there is one attempt."""
    epsilon = _first(settings.epsilon, _named(defaults.strength, "strength", settings.strength))
    effort = _named(defaults.effort, "effort", settings.effort)
    return LabelPlan(
        epsilon,
        _first(settings.step_size, effort.step_size * epsilon / defaults.epsilon),
        settings.steps or effort.steps,
        defaults.momentum,
        defaults.diversity,
    )


def _named(choices: dict[str, T], what: str, name: str) -> T:
    if name not in choices:
        raise SettingError(f"no {what} {name}; there are {', '.join(choices)}")
    return choices[name]


def _first(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value

"""How strongly, in which direction and for which faces a photo is protected."""

import json
import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .errors import SettingError
from .photo import MetadataPolicy

Strength = Literal["low", "medium", "high"]
Effort = Literal["fast", "normal", "thorough"]


@dataclass(frozen=True)
class Settings:
    """What the user chose. Where a number is None, the artifacts' defaults decide.

    Attributes:
        strength: a budget by name; `epsilon` takes its place when given.
        epsilon: no pixel changes by more than this, in pixel levels, in [1, 255], before the loss of a lossy format.
        effort: a number of steps by name, with the step size that suits it; `steps` and `step_size` take their place.
        step_size: how far one step goes, in pixel levels, above 0. By default it is in proportion to epsilon.
        steps: how many steps the attack takes, in [1, 1000].
        momentum: what part of the earlier steps' gradients each step keeps, from 0 to 2.
        diversity: how much the views of the face differ from step to step, from 0 to 2.
        perceptual: how far the budget shrinks where a change shows, as on smooth skin: 0 not at all, 1 fully.
        label: the identity to move towards (targeted); None for nobody.
        decoy: the number, from 1, of the artifacts' decoy to move towards, or "any", where the seed and the number of
            the face decide which; None for none.
        away: move away from the identity that the recogniser sees (non-targeted) instead of from the face itself, which
            is the default and needs no identity (a cloak).
        gallery: float32 [N, D], what `Protector.enroll` returned of photos by which the people are known: each face
            moves away from those that match it too, on average. None for the face alone.
        seed: of the random start; the n-th face of a photo takes seed + n - 1.
        faces: the numbers of the faces to protect, as `Protector.detect` orders them, from 1; None for all.
        metadata: "strip" removes EXIF, XMP and comments from the written file, "keep" keeps them.

    Raises:
        SettingError: a number is out of range.
    """

    strength: Strength = "medium"
    epsilon: float | None = None
    effort: Effort = "normal"
    step_size: float | None = None
    steps: int | None = None
    momentum: float | None = None
    diversity: float | None = None
    perceptual: float | None = None
    label: str | None = None
    decoy: int | Literal["any"] | None = None
    away: bool = False
    gallery: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    seed: int = 0
    faces: tuple[int, ...] | None = None
    metadata: MetadataPolicy = "strip"

    def __post_init__(self) -> None:
        """Check the numbers."""
        if sum((self.label is not None, self.decoy is not None, self.away)) > 1:
            raise SettingError(
                "a face moves towards a label, towards a decoy or away from its own identity: choose one"
            )
        if self.gallery is not None and (self.label is not None or self.away):
            raise SettingError("a gallery is for faces that move away from themselves, not for labels")
        if self.decoy not in (None, "any") and not (isinstance(self.decoy, int) and self.decoy >= 1):
            raise SettingError(f'decoy is {self.decoy!r}; decoys are numbered from 1, or it is "any"')
        if self.epsilon is not None and not 1 <= self.epsilon <= 255:  # also refuses NaN
            raise SettingError(f"epsilon is {self.epsilon:g}; it is in pixel levels, from 1 to 255")
        if self.step_size is not None and not (math.isfinite(self.step_size) and self.step_size > 0):
            raise SettingError(f"step size is {self.step_size:g}; it is in pixel levels and above 0")
        if self.steps is not None and not 1 <= self.steps <= 1000:
            raise SettingError(f"steps is {self.steps}; it is from 1 to 1000")
        for name, value in (("momentum", self.momentum), ("diversity", self.diversity)):
            if value is not None and not 0 <= value <= 2:
                raise SettingError(f"{name} is {value:g}; it is from 0 to 2")
        if self.perceptual is not None and not 0 <= self.perceptual <= 1:
            raise SettingError(f"perceptual is {self.perceptual:g}; it is from 0 to 1")
        if not 0 <= self.seed < 2**31:
            raise SettingError(f"seed is {self.seed}; it is from 0 to {2**31 - 1}")
        if self.faces is not None and any(number < 1 for number in self.faces):
            raise SettingError("faces are numbered from 1")


@dataclass(frozen=True)
class Defaults:
    """What the artifacts recommend for an attack; see `Settings` for the names.

    Attributes:
        epsilon: the budget in pixel levels to which the step sizes belong.
        strength: budgets by name.
        effort: a number of steps and their size by name.
        momentum, diversity, perceptual: as in `Settings`.
    """

    epsilon: float
    strength: dict[str, float]
    effort: dict[str, tuple[int, float]]
    momentum: float
    diversity: float
    perceptual: float

    @classmethod
    def parse(cls, text: str) -> "Defaults":
        """Read the metadata `defaults` of an exported graph.

        Raises:
            KeyError, TypeError, ValueError: it is not such a text.
        """
        raw = json.loads(text)
        strength = {str(name): float(epsilon) for name, epsilon in raw["strength"].items()}
        effort = {str(name): (int(each["steps"]), float(each["step_size"])) for name, each in raw["effort"].items()}
        others = (float(raw[name]) for name in ("momentum", "diversity", "perceptual"))
        return cls(float(raw["epsilon"]), strength, effort, *others)

    def plan(self, settings: Settings) -> "Plan":
        """Return what the attack does for what the user chose.

        Raises:
            SettingError: the artifacts know no strength or effort of this name.
        """
        epsilon = settings.epsilon
        if epsilon is None:
            if settings.strength not in self.strength:
                raise SettingError(f"no strength {settings.strength}; there are {', '.join(self.strength)}")
            epsilon = self.strength[settings.strength]
        if settings.effort not in self.effort:
            raise SettingError(f"no effort {settings.effort}; there are {', '.join(self.effort)}")
        steps, step_size = self.effort[settings.effort]
        step_size = step_size * epsilon / self.epsilon

        def chosen(value: float | None, otherwise: float) -> float:
            return otherwise if value is None else value

        return Plan(
            epsilon,
            chosen(settings.step_size, step_size),
            settings.steps or steps,
            chosen(settings.momentum, self.momentum),
            chosen(settings.diversity, self.diversity),
            chosen(settings.perceptual, self.perceptual),
        )


@dataclass(frozen=True)
class Plan:
    """The numbers that an attack runs with; epsilon and step size are in pixel levels."""

    epsilon: float
    step_size: float
    steps: int
    momentum: float
    diversity: float
    perceptual: float

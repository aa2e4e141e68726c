import math
from typing import Any

import pytest

from face_encryption.runtime.errors import SettingError
from face_encryption.runtime.settings import Defaults, Settings

DEFAULTS = Defaults(
    epsilon=8,
    strength={"low": 4, "medium": 8, "high": 12},
    effort={"fast": (2, 4.0), "normal": (4, 2.0)},
    momentum=1,
    diversity=0.5,
    perceptual=1,
)


@pytest.mark.parametrize(
    ("setting", "word"),
    [
        ({"epsilon": 0}, "epsilon is 0"),
        ({"epsilon": 0.5}, "epsilon is 0.5"),
        ({"epsilon": -1}, "epsilon is -1"),
        ({"epsilon": 256}, "epsilon is 256"),
        ({"epsilon": math.nan}, "epsilon is nan"),
        ({"epsilon": math.inf}, "epsilon is inf"),
        ({"step_size": 0}, "step size is 0"),
        ({"step_size": -2}, "step size is -2"),
        ({"step_size": math.nan}, "step size is nan"),
        ({"step_size": math.inf}, "step size is inf"),
        ({"steps": 0}, "steps is 0"),
        ({"steps": 1001}, "steps is 1001"),
        ({"momentum": -1}, "momentum is -1"),
        ({"diversity": math.nan}, "diversity is nan"),
        ({"perceptual": 1.5}, "perceptual is 1.5"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**31}, "seed is 2147483648"),
        ({"decoy": 0}, "decoys are numbered from 1"),
        ({"faces": (1, 0)}, "numbered from 1"),
    ],
)
def test_numbers_out_of_range(setting: dict[str, Any], word: str) -> None:
    with pytest.raises(SettingError, match=word):
        Settings(**setting)


@pytest.mark.parametrize(
    ("setting", "budget"),
    [
        ({}, (8, 2)),
        ({"strength": "low"}, (4, 1)),
        ({"strength": "high"}, (12, 3)),
        ({"epsilon": 255}, (255, 63.75)),
        ({"epsilon": 1.5}, (1.5, 0.375)),
        ({"epsilon": 4, "step_size": 4}, (4, 4)),
        ({"step_size": 1}, (8, 1)),
    ],
)
def test_budget(setting: dict[str, Any], budget: tuple[float, float]) -> None:
    plan = DEFAULTS.plan(Settings(**setting))
    assert (plan.epsilon, plan.step_size) == budget


@pytest.mark.parametrize(
    ("setting", "plan"),
    [
        ({}, (4, 2.0, 1, 0.5)),
        ({"effort": "fast"}, (2, 4.0, 1, 0.5)),
        ({"effort": "fast", "epsilon": 4}, (2, 2.0, 1, 0.5)),
        ({"steps": 9, "momentum": 0, "diversity": 2}, (9, 2.0, 0, 2)),
    ],
)
def test_effort(setting: dict[str, Any], plan: tuple[float, ...]) -> None:
    found = DEFAULTS.plan(Settings(**setting))
    assert (found.steps, found.step_size, found.momentum, found.diversity) == plan


def test_unknown_names() -> None:
    with pytest.raises(SettingError, match="no strength huge; there are low, medium, high"):
        DEFAULTS.plan(Settings(strength="huge"))  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="no effort thorough; there are fast, normal"):
        DEFAULTS.plan(Settings(effort="thorough"))

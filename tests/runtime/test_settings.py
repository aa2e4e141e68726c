import math
from typing import Any

import pytest

from face_encryption.runtime.errors import SettingError
from face_encryption.runtime.settings import Defaults, Settings

DEFAULTS = Defaults(epsilon=8, step_size=2, strength={"low": 4, "medium": 8, "high": 12})


@pytest.mark.parametrize(
    ("setting", "word"),
    [
        ({"epsilon": 0}, "epsilon is 0"),
        ({"epsilon": -1}, "epsilon is -1"),
        ({"epsilon": 256}, "epsilon is 256"),
        ({"epsilon": math.nan}, "epsilon is nan"),
        ({"epsilon": math.inf}, "epsilon is inf"),
        ({"step_size": 0}, "step size is 0"),
        ({"step_size": -2}, "step size is -2"),
        ({"step_size": math.nan}, "step size is nan"),
        ({"step_size": math.inf}, "step size is inf"),
        ({"steps": 0}, "steps is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**31}, "seed is 2147483648"),
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
        ({"epsilon": 0.5}, (0.5, 0.125)),
        ({"epsilon": 4, "step_size": 4}, (4, 4)),
        ({"step_size": 1}, (8, 1)),
    ],
)
def test_budget(setting: dict[str, Any], budget: tuple[float, float]) -> None:
    assert DEFAULTS.budget(Settings(**setting)) == budget


def test_unknown_strength() -> None:
    with pytest.raises(SettingError, match="no strength huge; there are low, medium, high"):
        DEFAULTS.budget(Settings(strength="huge"))  # type: ignore[arg-type]

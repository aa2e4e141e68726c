import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from face_encryption.runtime.errors import SettingError
from face_encryption.runtime.manifest import CloakDefaults, LabelDefaults, LabelEffort, Rung
from face_encryption.runtime.settings import CloakPlan, LabelPlan, Settings, plan_cloak, plan_label

LADDER = (Rung(0.05, 20), Rung(0.07, 20), Rung(0.08, 30))
CLOAK_DEFAULTS = CloakDefaults(
    (0,), {"low": (Rung(0.02, 10),), "medium": LADDER, "high": (Rung(0.1, 40),)}, {"fast": 2, "normal": 4}
)
LABEL_DEFAULTS = LabelDefaults(
    8, {"low": 4, "medium": 8, "high": 12}, {"fast": LabelEffort(2, 4), "normal": LabelEffort(4, 2)}, 1, 0.5
)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        *(
            ({"budget": value}, f"budget is {value:g}; it is above 0 and at most 1")
            for value in (0, -0.01, 1.01, math.nan, math.inf)
        ),
        *(
            (setting | {name: value}, f"{name} is {value:g}; it is in pixel levels, from 1 to 255")
            for name, setting in (("clamp", {}), ("epsilon", {"away": True}), ("epsilon", {"label": "Ada"}))
            for value in (0, 0.5, -1, 256, math.nan, math.inf)
        ),
        *(
            ({"away": True, "step_size": value}, f"step size is {value:g}; it is in pixel levels and above 0")
            for value in (0, -2, math.nan, math.inf)
        ),
        ({"steps": 0}, "steps is 0; it is from 1 to 1000"),
        ({"steps": 1001}, "steps is 1001"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**31}, "seed is 2147483648"),
        ({"faces": (1, 0)}, "numbered from 1"),
        *(({"min_score": value}, "min score is .*; it is above 0") for value in (0, -1, 1.5, math.nan)),
        *(({"boxes": (box,)}, "has no size") for box in ((5, 5, 5, 9), (5, 9, 9, 5), (0, 0, math.inf, 9))),
    ],
)
def test_numbers_out_of_range(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Settings(**setting)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"epsilon": 8}, "epsilon and step size are for labels; a cloak has a budget and a clamp"),
        ({"step_size": 2}, "epsilon and step size are for labels"),
        ({"epsilon": 8, "budget": 0.04}, "epsilon and step size are for labels"),
        ({"label": "Ada", "budget": 0.04}, "budget is for faces that move away from themselves, not for labels"),
        ({"away": True, "budget": 0.04}, "budget is for faces"),
        ({"label": "Ada", "clamp": 16}, "clamp is for faces"),
        ({"away": True, "clamp": 16, "epsilon": 8}, "clamp is for faces"),
        ({"away": True, "gallery": np.zeros((1, 512), np.float32)}, "gallery is for faces"),
        ({"label": "Ada", "away": True}, "choose one"),
    ],
)
def test_settings_of_the_other_attack(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Settings(**setting)


@pytest.mark.parametrize(
    ("setting", "plan"),
    [
        ({"strength": "low"}, [(0.02, 10, 4)]),
        ({"strength": "low", "effort": "fast"}, [(0.02, 10, 2), (0.02, 10, 4)]),
        ({}, [(0.05, 20, 4), (0.07, 20, 4), (0.08, 30, 4)]),
        ({"effort": "fast"}, [(0.05, 20, 2), (0.05, 20, 4), (0.07, 20, 4), (0.08, 30, 4)]),
        ({"steps": 9}, [(0.05, 20, 9), (0.07, 20, 9), (0.08, 30, 9)]),
        ({"steps": 1}, [(0.05, 20, 1), (0.07, 20, 1), (0.08, 30, 1)]),
        ({"budget": 0.3}, [(0.3, 20, 4)]),
        ({"clamp": 7.5, "effort": "fast"}, [(0.05, 7.5, 2), (0.05, 7.5, 4)]),
        ({"budget": 1, "clamp": 255, "steps": 1000}, [(1, 255, 1000)]),
        ({"budget": 1e-6, "clamp": 1, "steps": 1}, [(1e-6, 1, 1)]),
    ],
)
def test_attempts_of_a_cloak(setting: dict[str, Any], plan: list[tuple[float, float, int]]) -> None:
    attempts = plan_cloak(CLOAK_DEFAULTS, Settings(**setting))
    assert attempts == tuple(CloakPlan(*each) for each in plan)
    assert [attempt.bound for attempt in attempts] == [clamp for _, clamp, _ in plan]


@pytest.mark.parametrize(
    ("setting", "plan"),
    [
        ({}, LabelPlan(8, 2, 4, 1, 0.5)),
        ({"strength": "low"}, LabelPlan(4, 1, 4, 1, 0.5)),
        ({"strength": "high"}, LabelPlan(12, 3, 4, 1, 0.5)),
        ({"epsilon": 255}, LabelPlan(255, 63.75, 4, 1, 0.5)),
        ({"epsilon": 1.5}, LabelPlan(1.5, 0.375, 4, 1, 0.5)),
        ({"epsilon": 4, "step_size": 4}, LabelPlan(4, 4, 4, 1, 0.5)),
        ({"step_size": 1, "steps": 9}, LabelPlan(8, 1, 9, 1, 0.5)),
        ({"effort": "fast"}, LabelPlan(8, 4, 2, 1, 0.5)),
        ({"effort": "fast", "epsilon": 4}, LabelPlan(4, 2, 2, 1, 0.5)),
    ],
)
def test_plan_of_an_attack_on_a_label(setting: dict[str, Any], plan: LabelPlan) -> None:
    found = plan_label(LABEL_DEFAULTS, Settings(away=True, **setting))
    assert found == plan
    assert found.bound == plan.epsilon


@pytest.mark.parametrize(
    ("plan", "defaults", "away"), [(plan_cloak, CLOAK_DEFAULTS, False), (plan_label, LABEL_DEFAULTS, True)]
)
def test_unknown_names(plan: Any, defaults: CloakDefaults | LabelDefaults, away: bool) -> None:
    without_high = {name: value for name, value in defaults.strength.items() if name != "high"}
    with pytest.raises(SettingError, match="no strength high; there are low, medium"):
        plan(replace(defaults, strength=without_high), Settings(strength="high", away=away))  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="no effort thorough; there are fast, normal"):
        plan(defaults, Settings(effort="thorough", away=away))

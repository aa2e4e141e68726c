"""What a client uses when nobody says otherwise; `manifest.json` carries it. See `docs/artifacts.md`."""

from typing import Any

# A cloak's strength is a ladder: a face begins on its first rung, and while it is still a match goes on up to its last.
CLOAK_DEFAULTS: dict[str, Any] = {
    "strength": {
        "low": [{"budget": 0.0285, "clamp": 13}],
        "medium": [{"budget": 0.038, "clamp": 17}, {"budget": 0.048, "clamp": 17}],
        "high": [{"budget": 0.065, "clamp": 35}, {"budget": 0.08, "clamp": 35}],
    },
    "effort": {"fast": {"steps": 6}, "normal": {"steps": 15}, "thorough": {"steps": 30}},
}
# Epsilon by strength, in levels, and steps whose size suits an epsilon of 8. Momentum is the shortest way to a label,
# which is reached in a few steps.
LABEL_DEFAULTS: dict[str, Any] = {
    "epsilon": 8,
    "strength": {"low": 4, "medium": 8, "high": 12},
    "effort": {
        "fast": {"steps": 4, "step_size": 4},
        "normal": {"steps": 8, "step_size": 4},
        "thorough": {"steps": 8, "step_size": 2},
    },
    "momentum": 1,
    "diversity": 0,
}
# A face counts as matched at the threshold where 1 % of the pairs of different people would be. So far below it an
# attempt has to bring a face: writing it as JPEG of quality 90 raises the similarity by 0.027 at most (29 faces of LFW,
# three budgets), of quality 75 for nine in ten by less than 0.055; and recognizers that nobody asked follow from afar.
FAR = "0.01"
MATCH_DEFAULTS: dict[str, Any] = {"far": FAR, "margin": 0.1}
# Below the score but from `unsure` on the detector may be right; lower scores are noise.
DETECTOR_DEFAULTS: dict[str, Any] = {"score": 0.5, "unsure": 0.4}
# Of another's recognizer that says no threshold of its own, at `FAR`.
FOREIGN_THRESHOLD = 0.4

"""A cloak step by step, by the graphs that a client takes, with the loss that each step met."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from face_encryption.runtime.attack import run_cloak
from face_encryption.runtime.onnx_runtime import ort


class CloakSteps:
    """Takes and gives what steps written out do."""

    def __init__(self, begin: Any, steps: Sequence[Any], end: Any) -> None:
        self.begin, self.steps, self.end = begin, [_Step(step) for step in steps], end

    @classmethod
    def of_folder(cls, folder: Path, turns: Sequence[int] = (0,)) -> "CloakSteps":
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        names = ["begin", *(f"step-{turn}" for turn in turns), "end"]
        begin, *steps, end = (ort.InferenceSession(folder / f"attack-feature-{name}.onnx", options) for name in names)
        return cls(begin, steps, end)

    def __call__(self, steps: int, face: NDArray[np.uint8], **given: Any) -> tuple[Any, list[float]]:
        for step in self.steps:
            step.losses.clear()
        protected = run_cloak(self.begin, self.steps, self.end, {"face": face, **given, "steps": np.array(steps)})
        count = len(self.steps)
        return protected, [self.steps[number % count].losses[number // count] for number in range(steps)]


class _Step:
    def __init__(self, session: Any) -> None:
        self.session, self.losses = session, list[float]()

    def run(self, names: list[str], feed: dict[str, Any]) -> list[Any]:
        *state, loss = list(self.session.run([*names, "loss"], feed))
        self.losses.append(float(loss))
        return state

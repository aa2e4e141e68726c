"""A cloak step by step, by the graphs that a client takes: begin, the steps in turn, end."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from face_encryption.export.attack.cloak import GRID
from face_encryption.runtime.onnx_runtime import ort


class CloakSteps:
    """Runs them with what the loop takes, and gives what it gives."""

    def __init__(self, begin: Any, steps: Sequence[Any], end: Any) -> None:
        self.begin, self.steps, self.end = begin, steps, end

    @classmethod
    def of_folder(cls, folder: Path, turns: Sequence[int] = (0,)) -> "CloakSteps":
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        names = ["begin", *(f"step-{turn}" for turn in turns), "end"]
        begin, *steps, end = (ort.InferenceSession(folder / f"attack-feature-{name}.onnx", options) for name in names)
        return cls(begin, steps, end)

    def __call__(self, steps: int, face: NDArray[np.uint8], **given: Any) -> tuple[Any, list[float]]:
        (pixels,) = self.begin.run(None, {"face": face})
        given |= {"pixels": pixels, "side": np.array(len(face)), "steps": np.array(steps)}
        perturbation = buffer = np.full((3, GRID, GRID), np.nan, np.float32)  # nothing of these counts at the beginning
        losses = []
        for iteration in range(steps + -steps % len(self.steps)):
            state = {"perturbation": perturbation, "momentum_buffer": buffer, "iteration": np.array(iteration)}
            perturbation, buffer, loss = self.steps[iteration % len(self.steps)].run(None, given | state)
            losses.append(float(loss))
        change = {"perturbation": perturbation, "clamp": given["clamp"]}
        return self.end.run(None, {"face": face, **change})[0], losses

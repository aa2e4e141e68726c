"""A detector for tests of what is done with boxes."""

from collections.abc import Sequence

import numpy as np


class BoxSession:
    """Stands for a detector that finds what it is told to."""

    def __init__(self, boxes: Sequence[Sequence[float]], scores: list[float] | None = None) -> None:
        self.boxes = np.array(boxes, np.float32).reshape(-1, 4)
        self.scores = np.array(scores or [0.5] * len(boxes), np.float32)
        self.feed: dict[str, np.ndarray] = {}

    def run(self, output_names: list[str], input_feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        assert output_names == ["boxes", "scores", "keypoints"]
        self.feed = input_feed
        kept = self.scores >= input_feed["score_threshold"]
        return [self.boxes[kept], self.scores[kept], np.zeros((int(kept.sum()), 6, 2), np.float32)]

"""An attack on a face: the graph, and the numbers that it runs with."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .artifacts import Graph
from .part import Part
from .results import Recognition
from .settings import Plan


@dataclass(frozen=True)
class Attack:
    """The graph of an attack.

    Attributes:
        graph: a cloak, or an attack on a label.
        plans: the numbers of each attempt; the next is made while a face is still a match.
        label: the class to move towards; None for none.
    """

    graph: Graph
    plans: tuple[Plan, ...]
    label: int | None

    @property
    def bound(self) -> float:
        """No attempt changes a pixel by more than this, in levels."""
        return max(plan.bound for plan in self.plans)

    def __call__(
        self, square: NDArray[np.uint8], part: Part, own: Recognition | NDArray[np.float32], seed: int, plan: Plan
    ) -> Any:
        """Return the protected square, uint8 [S, S, 3].

        Args:
            square: as it is in the photo now, uint8 [S, S, 3].
            part: the face.
            own: what the recognizer says of the face, for an attack on a label; for a cloak float32 [D], the embedding
                of the face by all recognizers, or the mean of it and the gallery's.
            seed: of the random start.
            plan: one of `plans`.
        """
        if isinstance(own, Recognition):
            label = int(np.argmax(own.probabilities)) if self.label is None else self.label
            comparison: dict[str, Any] = {"label": label, "direction": np.float32(-1 if self.label is None else 1)}
        else:
            comparison = {"keypoints": part.keypoints, "reference": own}
        numbers = {
            name: np.array(value, np.int64 if name == "steps" else np.float32) for name, value in asdict(plan).items()
        }
        given = {"face": square, **comparison, **numbers, "seed": np.array(seed, np.int64)}
        (protected,) = self.graph.run(["protected"], {name: np.asarray(value) for name, value in given.items()})
        return protected

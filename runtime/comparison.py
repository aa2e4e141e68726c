"""Whether a face is still a match: by each recognizer behind the cloak or, for labels, by ours alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import SettingError
from .manifest import OWN, SurrogateFacts
from .part import Part
from .results import Recognition, SurrogateResult


@dataclass(frozen=True, eq=False)
class Subject:
    """A face before the attack, and what it is compared with.

    `before` is which identity our recognizer sees in it, where one decides the direction. `recognizers` tell whether it
    is still a match, in the order of their parts of an embedding. `embedding` is f32 [D], the face's, `known` f32
    [N, D], those of the gallery's faces that match it.
    """

    part: Part
    before: Recognition | None
    recognizers: Sequence[SurrogateFacts]
    embedding: NDArray[np.float32]
    known: NDArray[np.float32]

    @property
    def reference(self) -> NDArray[np.float32]:
        """What a cloak moves away from, f32 [D]: the mean of the face and of the gallery's faces that match it."""
        return np.asarray(self._clean.mean(0), np.float32)

    @property
    def _clean(self) -> NDArray[np.float32]:
        return np.concatenate([self.embedding[None], self.known])

    def compare(self, changed: NDArray[np.float32]) -> list[SurrogateResult]:
        """Compare a changed face, f32 [D], with the face before, or with one of the gallery if that is more similar."""
        results = []
        for each, part in zip(self.recognizers, parts(self.recognizers), strict=True):
            similarity = float((self._clean[:, part] @ changed[part]).max())
            results.append(SurrogateResult(each.name, similarity, each.threshold))
        return results


def parts(recognizers: Sequence[SurrogateFacts]) -> list[slice]:
    """Return where each recognizer's part of an embedding f32 [D] is."""
    ends = np.cumsum([each.embedding for each in recognizers]).tolist()
    return [slice(end - each.embedding, end) for each, end in zip(recognizers, ends, strict=True)]


def matches(
    recognizers: Sequence[SurrogateFacts], gallery: NDArray[np.float32] | None, face: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the rows of a gallery, f32 [N, D], that our recognizer takes for the same person as a face, f32 [D].

    Raises:
        SettingError: the gallery was enrolled with other artifacts.
    """
    if gallery is None:
        return np.zeros((0, len(face)), np.float32)
    if gallery.ndim != 2 or gallery.shape[1] != len(face):
        raise SettingError(f"the gallery is {list(gallery.shape)}, not [N, {len(face)}]; enroll with these artifacts")
    number = [each.name for each in recognizers].index(OWN)
    part = parts(recognizers)[number]
    return gallery[gallery[:, part] @ face[part] >= recognizers[number].threshold]

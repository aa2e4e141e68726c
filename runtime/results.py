"""What became of a photo and of each face in it."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .faces import Face
from .settings import Plan


@dataclass(frozen=True, eq=False)
class Recognition:
    """What the recognizer says of one face.

    Attributes:
        embedding: float32 [512], of unit norm; the dot product of two is their similarity.
        probabilities: float32 [classes], in the order of `Protector.classes`.
        name: the identity with the highest probability.
        probability: that probability, 0 to 1.
    """

    embedding: NDArray[np.float32] = field(repr=False)
    probabilities: NDArray[np.float32] = field(repr=False)
    name: str
    probability: float


@dataclass(frozen=True)
class SurrogateResult:
    """Whether a recognizer behind the cloak still takes the protected face for the same person.

    Attributes:
        name: of the recognizer, as the artifacts call it.
        similarity: as in `FaceResult`, by this recognizer.
        threshold: similarities from here on count as the same person.
    """

    name: str
    similarity: float
    threshold: float

    @property
    def matched(self) -> bool:
        """Whether it does."""
        return self.similarity >= self.threshold


@dataclass(frozen=True)
class FaceResult:
    """What was done to one face, measured on the bytes of the protected photo.

    Attributes:
        number: of the face in the photo, from 1.
        face: box, score and keypoints.
        before: which identity the recognizer sees in the original face; None for a cloak, which needs nobody's.
        after: the same of the protected face.
        similarity: of the protected probe to the original face as gallery, -1 to 1; the highest of that and those to
            the faces of a gallery that matched.
        threshold: similarities from here on count as the same person, at a false accept rate of 1 %.
        surrogates: the same by each other recognizer behind the cloak; none for labels.
        gallery: how many faces of the gallery matched the original face, and were moved away from too.
        plan: the numbers of the attempt that was kept; None where an earlier run protected the face.
        change: the largest change of a channel in the face's square, in pixel levels. A lossy format adds its own.
        psnr: of the face's square, in dB; infinite when nothing changed.
        seconds: the time that recognizing and attacking it took, all attempts together.
    """

    number: int
    face: Face
    before: Recognition | None
    after: Recognition | None
    similarity: float
    threshold: float
    surrogates: tuple[SurrogateResult, ...]
    gallery: int
    plan: Plan | None
    change: int
    psnr: float
    seconds: float

    @property
    def matched(self) -> bool:
        """Whether the recognizer, or one of the surrogates, still takes the protected face for the same person."""
        return self.similarity >= self.threshold or any(each.matched for each in self.surrogates)


@dataclass(frozen=True)
class ProtectedPhoto:
    """A protected photo.

    Attributes:
        data: the bytes of the file, of the same format as the original.
        faces: a result for each protected face.
        notes: what else the user may want to know, one line each.
    """

    data: bytes = field(repr=False)
    faces: tuple[FaceResult, ...]
    notes: tuple[str, ...]

"""Whether a face is still a match: by our recognizer and, where there are others, by each behind the cloak."""

import numpy as np
from numpy.typing import NDArray

from .artifacts import Artifacts
from .errors import SettingError
from .manifest import OWN
from .results import Recognition, SurrogateResult
from .subject import Part, Subject


def sign(artifacts: Artifacts, part: Part, square: NDArray[np.uint8], own: Recognition) -> NDArray[np.float32]:
    """Return what recognizers see in a face: the embedding by ours and, behind it, by each of several behind a cloak.

    Args:
        artifacts: where the recognizers are.
        part: the face.
        square: its pixels, as they were or changed, uint8 [S, S, 3].
        own: what our recognizer says of them.

    Returns:
        float32 [D], parts of unit norm.

    Raises:
        ArtifactsError: the recognizers cannot be loaded or run.
    """
    if not artifacts.several:
        return own.embedding
    face = {"face": square, "keypoints": part.keypoints}
    return np.concatenate([own.embedding, *artifacts.cloak_reference.run(["reference"], face)])


def matches(
    artifacts: Artifacts, gallery: NDArray[np.float32] | None, signature: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the rows of a gallery, f32 [N, D], that our recognizer takes for the same person as a signature, f32 [D].

    Raises:
        SettingError: the gallery was enrolled with other artifacts.
    """
    if gallery is None:
        return np.zeros((0, len(signature)), np.float32)
    if gallery.ndim != 2 or gallery.shape[1] != len(signature):
        raise SettingError(
            f"the gallery is {list(gallery.shape)}, not [N, {len(signature)}]; enroll with these artifacts"
        )
    own = artifacts.manifest.recognizer
    return gallery[gallery[:, : own.embedding] @ signature[: own.embedding] >= own.threshold]


def compare(
    artifacts: Artifacts, subject: Subject, square: NDArray[np.uint8], after: Recognition
) -> list[SurrogateResult]:
    """Compare a changed face with itself before, or with a face of the gallery if that is more similar.

    Args:
        artifacts: where the recognizers are.
        subject: the face before.
        square: its changed pixels, uint8 [S, S, 3].
        after: what our recognizer says of them.

    Returns:
        What our recognizer says and, where there are others, each of those behind the cloak, in their turn.

    Raises:
        ArtifactsError: the recognizers cannot be loaded or run.
    """
    own = artifacts.manifest.recognizer
    judges = [(OWN, own.embedding, own.threshold)]
    if artifacts.several:
        judges += [(each.name, each.embedding, each.threshold) for each in artifacts.manifest.surrogates]
    signature, clean, begin, results = sign(artifacts, subject.part, square, after), subject.clean, 0, []
    for name, length, threshold in judges:
        part = slice(begin, begin + length)
        results.append(SurrogateResult(name, float((clean[:, part] @ signature[part]).max()), threshold))
        begin += length
    return results

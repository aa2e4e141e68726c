"""The one class that a Python user needs: a photo's bytes in, the protected photo's bytes and what was measured out.

protector = Protector("artifacts")
protected = protector.protect(Path("photo.jpg").read_bytes())
Path("photo_protected.jpg").write_bytes(protected.data)
"""

import difflib
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .artifacts import Artifacts, Graph, names, threshold_at
from .errors import NoFaceError, SettingError
from .faces import Box, Detection, Face, find_faces, overlap, square_around
from .onnx_runtime import warn_if_reporting
from .photo import Photo, grey, read_photo, read_squares
from .report import detection_notes
from .results import FaceResult, ProtectedPhoto, Recognition
from .settings import Plan, Settings, plan_cloak, plan_label

# A face counts as matched at the threshold where 1 % of the pairs of different people would be.
FAR = "0.01"
# The length of our recogniser's embedding.
EMBEDDING = 512


@dataclass(frozen=True, eq=False)
class _Part:
    """A face to protect and its square: the corner, the pixels before any change, the part that is in the photo."""

    number: int
    face: Face
    corner: tuple[int, int]
    original: NDArray[np.uint8]
    inside: tuple[slice, slice]

    @property
    def keypoints(self) -> NDArray[np.float32]:
        """The face's keypoints, float32 [6, 2], in pixels of the square."""
        return (self.face.keypoints - self.corner).astype(np.float32)


@dataclass(frozen=True)
class _Attack:
    graph: Graph
    plan: Plan
    label: int | None

    def __call__(
        self, square: NDArray[np.uint8], part: _Part, own: Recognition | NDArray[np.float32], seed: int
    ) -> Any:
        """Return the protected square, uint8 [S, S, 3].

        `own` is what the recognizer says of the face, for an attack on a label; for a cloak float32 [D], the embedding
        of the face by all recognizers, or the mean of it and the gallery's.
        """
        if isinstance(own, Recognition):
            label = int(np.argmax(own.probabilities)) if self.label is None else self.label
            comparison: dict[str, Any] = {"label": label, "direction": np.float32(-1 if self.label is None else 1)}
        else:
            comparison = {"keypoints": part.keypoints, "reference": own}
        numbers = {
            name: np.array(value, np.int64 if name == "steps" else np.float32)
            for name, value in asdict(self.plan).items()
        }
        given = {"face": square, **comparison, **numbers, "seed": np.array(seed, np.int64)}
        (protected,) = self.graph.run(["protected"], {name: np.asarray(value) for name, value in given.items()})
        return protected


class Protector:
    """Protects photos with the graphs in one folder. Graphs are loaded when first needed and then kept."""

    def __init__(self, artifacts: Path | str, threads: int | None = None) -> None:
        """Name the artifacts.

        Args:
            artifacts: the folder that `face-encryption export` wrote.
            threads: how many threads one inference uses; None for one per core.

        Raises:
            ArtifactsError: there is no such folder.

        Warns:
            UserWarning: the program imported onnxruntime before, without its opt-out from reporting; said once.
        """
        warn_if_reporting()
        self.artifacts = Artifacts(artifacts, threads)

    @cached_property
    def classes(self) -> list[str]:
        """The identities that the recogniser was trained on; any of them can be a label."""
        return self.artifacts.recognizer.value("classes", names)

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """Find the faces in an upright RGB image, uint8 [H, W, 3], and number them from left to right.

        Raises:
            ArtifactsError: the detector cannot be loaded or run.
        """
        return self.look(image).faces

    def look(self, image: NDArray[np.uint8], min_score: float = 0.5, boxes: Sequence[Box] = ()) -> Detection:
        """Find the faces in an upright RGB image, uint8 [H, W, 3], and where the detector is unsure.

        Args:
            image: uint8 [H, W, 3].
            min_score: from this score on something counts as a face, above 0 and at most 1.
            boxes: faces given by hand, x0, y0, x1, y1 in pixels, each in place of what was found there.

        Raises:
            SettingError: a box lies outside of the image.
            ArtifactsError: the detector cannot be loaded or run.
        """
        try:
            return find_faces(self.artifacts.detector, image, min_score, boxes)
        except ValueError as error:
            raise SettingError(str(error)) from error

    def recognise(self, face: NDArray[np.uint8]) -> Recognition:
        """Recognise a face.

        Args:
            face: uint8 [S, S, 3], RGB, as `cut_square` cuts it with the margin of the artifacts.

        Raises:
            ArtifactsError: the recogniser cannot be loaded or run.
        """
        embedding, probabilities = self.artifacts.recognizer.run(["embedding", "probabilities"], {"face": face})
        best = int(np.argmax(probabilities))
        return Recognition(embedding, probabilities, self.classes[best], float(probabilities[best]))

    def enroll(self, data: bytes) -> NDArray[np.float32]:
        """Return what the recognisers see in all faces of a photo, float32 [N, D], for the gallery in `Settings`.

        D is 512, or more where other recognisers joined the export. It serves this folder of artifacts alone.

        Args:
            data: the bytes of a JPEG, PNG or WebP file. The faces of several photos make one gallery by
                `np.concatenate`.

        Raises:
            PhotoError: the photo cannot be read.
            NoFaceError: there is no face in it.
            ArtifactsError: the artifacts are missing or damaged.
            MemoryError: the photo is too large for the memory there is.
        """
        margin = self.artifacts.recognizer.value("crop_margin", float)
        photo = read_photo(data)
        parts = [_part(photo, 0, face, margin) for face in self.detect(photo.pixels)]
        if not parts:
            raise NoFaceError("no face found")
        several = self.artifacts.several
        return np.stack([self._signature(part, self.recognise(part.original), several) for part in parts])

    def _signature(self, part: _Part, seen: Recognition, several: bool) -> NDArray[np.float32]:
        """Return our recognizer's embedding and, where several make the cloak, behind it what all of them see."""
        if not several:
            return seen.embedding
        face = {"face": part.original, "keypoints": part.keypoints}
        return np.concatenate([seen.embedding, *self.artifacts.cloak_reference.run(["reference"], face)])

    def check(self, settings: Settings) -> None:
        """Load what the settings need, so that a mistake in them shows before the first photo.

        Raises:
            SettingError: the label is unknown.
            ArtifactsError: a graph cannot be loaded.
        """
        self._attack(settings)
        self.artifacts.detector.load()

    def protect(self, data: bytes, settings: Settings | None = None) -> ProtectedPhoto:
        """Protect the faces in a photo.

        Args:
            data: the bytes of a JPEG, PNG or WebP file.
            settings: how; the defaults cloak all faces, each away from its own embedding.

        Raises:
            PhotoError: the photo cannot be read.
            NoFaceError: there is no face in it.
            SettingError: a setting names a label or a face that does not exist.
            ArtifactsError: the artifacts are missing, damaged or do not belong together.
            MemoryError: the photo is too large for the memory there is.
        """
        settings = settings or Settings()
        attack = self._attack(settings)
        several = not settings.labelled and self.artifacts.several
        threshold = self.artifacts.recognizer.value("thresholds", threshold_at(FAR))
        margin = self.artifacts.recognizer.value("crop_margin", float)

        photo = read_photo(data, settings.metadata)
        seen = self.look(photo.pixels, settings.min_score, settings.boxes)
        faces, hints = seen.faces, detection_notes(seen)
        if not faces:
            raise NoFaceError("; ".join(["no face found; nothing was written", *hints]))
        parts = [_part(photo, number, faces[number - 1], margin) for number in _choose(faces, settings.faces)]
        done = []
        for part in parts:
            start = time.perf_counter()
            before = self.recognise(part.original)
            square = photo.cut(part.corner, len(part.original))  # with the changes of faces whose squares overlap it
            seed = settings.seed + part.number - 1
            signature = self._signature(part, before, several)
            known = _matches(settings.gallery, signature, threshold)
            own = np.stack([signature, *known]).mean(0)[EMBEDDING if several else 0 :]
            protected = attack(square, part, before if settings.labelled else own, seed)
            if photo.grey:
                protected = grey(protected)  # of a grey square this is the square plus the mean change
            photo.paste(_limited(protected, part.original, attack.plan.bound), part.corner)
            clean = np.stack([before.embedding, *known[:, :EMBEDDING]])
            done.append((before, clean, time.perf_counter() - start))
        encoded, notes = photo.encode(), photo.notes
        del photo  # so that no two pictures are in memory at once

        saved = read_squares(encoded, [(part.corner, len(part.original)) for part in parts])
        results = []
        for part, (before, clean, seconds), square in zip(parts, done, saved, strict=True):
            after = self.recognise(square)
            similarity = float((clean @ after.embedding).max())
            change, psnr = _difference(part.original[part.inside], square[part.inside])
            results.append(
                FaceResult(
                    part.number,
                    part.face,
                    before,
                    after,
                    similarity,
                    threshold,
                    len(clean) - 1,
                    change,
                    psnr,
                    seconds,
                )
            )
        return ProtectedPhoto(encoded, tuple(results), attack.plan, (f"faces found: {len(faces)}", *hints, *notes))

    def plan(self, settings: Settings) -> Plan:
        """Return the numbers that an attack with these settings runs with.

        Raises:
            SettingError: the artifacts know no strength or effort of this name.
            ArtifactsError: there is no such attack.
        """
        if settings.labelled:
            return self.artifacts.attack("label").value("defaults", lambda text: plan_label(text, settings))
        return self.artifacts.attack("feature").value("defaults", lambda text: plan_cloak(text, settings))

    def _attack(self, settings: Settings) -> _Attack:
        plan, label = self.plan(settings), None
        if settings.label is not None:
            if settings.label not in self.classes:
                close = difflib.get_close_matches(settings.label, self.classes, 1)
                hint = f'did you mean "{close[0]}"?' if close else "`face-encryption inspect --json` lists the labels"
                raise SettingError(f'no label "{settings.label}" among {len(self.classes)}; {hint}')
            label = self.classes.index(settings.label)
        graph = self.artifacts.attack("label" if settings.labelled else "feature")
        references = [self.artifacts.cloak_reference] if not settings.labelled and self.artifacts.several else []
        for needed in (self.artifacts.recognizer, *references, graph):
            needed.load()  # here, so that loading does not count as the time of the first face
        return _Attack(graph, plan, label)


def _matches(
    gallery: NDArray[np.float32] | None, signature: NDArray[np.float32], threshold: float
) -> NDArray[np.float32]:
    """Return the rows of a gallery, f32 [N, D], whose embeddings count as the same person as that of a signature."""
    if gallery is None:
        return np.zeros((0, len(signature)), np.float32)
    if gallery.ndim != 2 or gallery.shape[1] < len(signature):
        raise SettingError(
            f"the gallery is {list(gallery.shape)}, not [N, {len(signature)}]; enroll with these artifacts"
        )
    return gallery[gallery[:, :EMBEDDING] @ signature[:EMBEDDING] >= threshold, : len(signature)]


def _choose(faces: list[Face], numbers: tuple[int, ...] | None) -> list[int]:
    """Return the numbers of the faces to protect, ascending."""
    if numbers is None:
        return list(range(1, len(faces) + 1))
    if missing := [number for number in numbers if number > len(faces)]:
        raise SettingError(f"there is no face {missing[0]}; the photo has {len(faces)}, numbered from left to right")
    return sorted(set(numbers))


def _part(photo: Photo, number: int, face: Face, margin: float) -> _Part:
    corner, side = square_around(face.box, margin)
    _, inside = overlap(photo.shape, side, corner)
    return _Part(number, face, corner, photo.cut(corner, side), inside)


def _limited(square: NDArray[np.uint8], original: NDArray[np.uint8], bound: float) -> NDArray[np.uint8]:
    """Return a square held within the bound of the original: where squares overlap their changes add up."""
    most = np.uint8(math.floor(bound))
    lowest, highest = original - np.minimum(original, most), original + np.minimum(255 - original, most)
    return np.clip(square, lowest, highest)


def _difference(original: NDArray[np.uint8], saved: NDArray[np.uint8]) -> tuple[int, float]:
    """Return the largest change of a channel in pixel levels, and the PSNR in dB."""
    change = saved.astype(np.int16) - original
    if not change.any():
        return 0, math.inf
    mean_square = float(np.einsum("ijk,ijk->", change, change, dtype=np.int64)) / change.size
    return int(np.abs(change).max()), 10 * math.log10(255**2 / mean_square)

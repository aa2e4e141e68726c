"""The one class that a Python user needs: a photo's bytes in, the protected photo's bytes and what was measured out.

protector = Protector("artifacts")
protected = protector.protect(Path("photo.jpg").read_bytes())
Path("photo_protected.jpg").write_bytes(protected.data)
"""

import difflib
import math
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .artifacts import Artifacts, AttackKind, Graph, names, threshold_at
from .errors import NoFaceError, SettingError
from .faces import Box, Face, cut_square, detect, overlap, paste_square
from .photo import grey, read_photo
from .settings import Plan, Settings

# A face counts as matched at the threshold where 1 % of the pairs of different people would be.
FAR = "0.01"


@dataclass(frozen=True, eq=False)
class Recognition:
    """What the recogniser says of one face.

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
class FaceResult:
    """What was done to one face, measured on the bytes of the protected photo.

    Attributes:
        number: of the face in the photo, from 1.
        face: box, score and keypoints.
        before: the recogniser on the original face.
        after: the recogniser on the protected face.
        similarity: of the protected probe to the original face as gallery, -1 to 1.
        threshold: similarities from here on count as the same person, at a false accept rate of 1 %.
        change: the largest change of a channel in the face's square, in pixel levels. A lossy format adds its own.
        psnr: of the face's square, in dB; infinite when nothing changed.
        seconds: the time that recognising and attacking it took.
    """

    number: int
    face: Face
    before: Recognition
    after: Recognition
    similarity: float
    threshold: float
    change: int
    psnr: float
    seconds: float

    @property
    def matched(self) -> bool:
        """Whether the recogniser still takes the protected face for the same person."""
        return self.similarity >= self.threshold


@dataclass(frozen=True)
class ProtectedPhoto:
    """A protected photo.

    Attributes:
        data: the bytes of the file, of the same format as the original.
        faces: a result for each protected face.
        plan: the numbers that the attack ran with.
        notes: what else the user may want to know, one line each.
    """

    data: bytes = field(repr=False)
    faces: tuple[FaceResult, ...]
    plan: Plan
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Attack:
    graph: Graph
    plan: Plan
    kind: AttackKind
    target: int | None

    def __call__(
        self, square: NDArray[np.uint8], keypoints: NDArray[np.float32], before: Recognition, seed: int
    ) -> NDArray[np.uint8]:
        """Return the protected square; it moves away from what `before` says unless there is a target.

        `keypoints` f32 [6, 2] are in pixels of the square.
        """
        comparison: dict[str, Any]
        direction = np.array(-1 if self.target is None else 1, np.float32)
        if self.kind == "cloak":
            comparison = {"keypoints": keypoints}
        elif self.kind == "feature":
            comparison = {"reference": before.embedding, "direction": direction}
        else:
            label = int(np.argmax(before.probabilities)) if self.target is None else self.target
            comparison = {"label": np.array(label, np.int64), "direction": direction}
        (protected,) = self.graph.run(
            ["protected"],
            {
                "face": square,
                **comparison,
                "epsilon": np.array(self.plan.epsilon, np.float32),
                "step_size": np.array(self.plan.step_size, np.float32),
                "momentum": np.array(self.plan.momentum, np.float32),
                "diversity": np.array(self.plan.diversity, np.float32),
                "perceptual": np.array(self.plan.perceptual, np.float32),
                "seed": np.array(seed, np.int64),
            },
        )
        return np.asarray(protected, np.uint8)


class Protector:
    """Protects photos with the graphs in one folder. Graphs are loaded when first needed and then kept."""

    def __init__(self, artifacts: Path | str, threads: int | None = None) -> None:
        """Name the artifacts.

        Args:
            artifacts: the folder that `face-encryption export` wrote.
            threads: how many threads one inference uses; None for one per core.

        Raises:
            ArtifactsError: there is no such folder.
        """
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
        return sorted(detect(self.artifacts.detector, image), key=lambda face: face.box)

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

    def check(self, settings: Settings) -> None:
        """Load what the settings need, so that a mistake in them shows before the first photo.

        Raises:
            SettingError: the label is unknown, or no attack of so many steps was exported.
            ArtifactsError: a graph cannot be loaded.
        """
        self._attack(settings)

    def protect(self, data: bytes, settings: Settings | None = None) -> ProtectedPhoto:
        """Protect the faces in a photo.

        Args:
            data: the bytes of a JPEG, PNG or WebP file.
            settings: how; the defaults cloak all faces, each away from its own embedding.

        Raises:
            PhotoError: the photo cannot be read.
            NoFaceError: there is no face in it.
            SettingError: a setting names a label, a face or a number of steps that does not exist.
            ArtifactsError: the artifacts are missing, damaged or do not belong together.
        """
        settings = settings or Settings()
        attack = self._attack(settings)
        threshold = self.artifacts.recognizer.value("thresholds", threshold_at(FAR))
        margin = self.artifacts.recognizer.value("crop_margin", float)

        photo = read_photo(data, settings.metadata)
        faces = self.detect(photo.pixels)
        chosen = _choose(faces, settings.faces)

        pixels = photo.pixels.copy()
        done: list[tuple[Recognition, float]] = []
        for number in chosen:
            start = time.perf_counter()
            box = faces[number - 1].box
            before = self.recognise(cut_square(photo.pixels, box, margin)[0])
            square, corner = cut_square(pixels, box, margin)
            keypoints = (faces[number - 1].keypoints - corner).astype(np.float32)
            protected = attack(square, keypoints, before, settings.seed + number - 1)
            if photo.grey:
                protected = grey(protected)  # of a grey square this is the square plus the mean change
            paste_square(pixels, protected, corner)
            _limit(pixels, photo.pixels, corner, len(square), attack.plan.epsilon)
            done.append((before, time.perf_counter() - start))

        encoded = photo.encode(pixels)
        saved = read_photo(encoded).pixels
        results = []
        for number, (before, seconds) in zip(chosen, done, strict=True):
            face = faces[number - 1]
            after = self.recognise(cut_square(saved, face.box, margin)[0])
            change, psnr = _difference(photo.pixels, saved, face.box, margin)
            similarity = float(before.embedding @ after.embedding)
            results.append(FaceResult(number, face, before, after, similarity, threshold, change, psnr, seconds))
        return ProtectedPhoto(encoded, tuple(results), attack.plan, photo.notes)

    def _kind(self, settings: Settings) -> AttackKind:
        if settings.label is not None or settings.away:
            return "label"
        return "cloak" if self.artifacts.steps("cloak") else "feature"

    def plan(self, settings: Settings) -> Plan:
        """Return the numbers that an attack with these settings runs with.

        Raises:
            SettingError: the artifacts know no strength or effort of this name.
            ArtifactsError: there is no such attack.
        """
        return self.artifacts.defaults(self._kind(settings)).plan(settings)

    def _attack(self, settings: Settings) -> _Attack:
        kind = self._kind(settings)
        plan = self.plan(settings)
        graph = self.artifacts.attack(kind, plan.steps)
        target = None
        if settings.label is not None:
            if settings.label not in self.classes:
                close = difflib.get_close_matches(settings.label, self.classes, 1)
                hint = f'did you mean "{close[0]}"?' if close else "`face-encryption inspect --json` lists the labels"
                raise SettingError(f'no label "{settings.label}" among {len(self.classes)}; {hint}')
            target = self.classes.index(settings.label)
        for needed in (self.artifacts.recognizer, graph):
            needed.load()  # here, so that loading does not count as the time of the first face
        return _Attack(graph, plan, kind, target)


def _choose(faces: list[Face], numbers: tuple[int, ...] | None) -> list[int]:
    """Return the numbers of the faces to protect, ascending."""
    if not faces:
        raise NoFaceError("no face found; nothing was written")
    if numbers is None:
        return list(range(1, len(faces) + 1))
    if missing := [number for number in numbers if number > len(faces)]:
        raise SettingError(f"there is no face {missing[0]}; the photo has {len(faces)}, numbered from left to right")
    return sorted(set(numbers))


def _limit(
    pixels: NDArray[np.uint8], original: NDArray[np.uint8], corner: tuple[int, int], side: int, epsilon: float
) -> None:
    """Hold a pasted square within epsilon of the original, in place: where squares overlap their changes add up."""
    region, _ = overlap(pixels.shape, side, corner)
    budget = math.floor(epsilon)
    now, then = pixels[region].astype(np.int16), original[region].astype(np.int16)
    pixels[region] = np.clip(now, then - budget, then + budget)


def _difference(original: NDArray[np.uint8], saved: NDArray[np.uint8], box: Box, margin: float) -> tuple[int, float]:
    """Return the largest change of a channel in pixel levels, and the PSNR in dB, over the square around a box."""
    square, corner = cut_square(original, box, margin)
    region, _ = overlap(original.shape, len(square), corner)
    change = saved[region].astype(np.int16) - original[region].astype(np.int16)
    if not change.any():
        return 0, math.inf
    mean_square = float(np.mean(np.square(change, dtype=np.float64)))
    return int(np.abs(change).max()), 10 * math.log10(255**2 / mean_square)

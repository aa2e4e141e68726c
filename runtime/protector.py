"""The one class that a Python user needs: a photo's bytes in, the protected photo's bytes and what was measured out.

protector = Protector()
protected = protector.protect(Path("photo.jpg").read_bytes())
Path("photo_protected.jpg").write_bytes(protected.data)
"""

import difflib
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .artifacts import Artifacts, load_graphs
from .attack import CloakAttack, LabelAttack
from .comparison import Subject, matches
from .detection import Detection, choose_faces, find_faces
from .errors import NoFaceError, PhotoError, SettingError
from .faces import Box, Face
from .manifest import OWN, Manifest
from .onnx_runtime import warn_if_reporting
from .part import Part, cut_part, difference
from .photo import Photo, grey, read_photo, read_squares
from .report import detection_notes
from .results import FaceResult, ProtectedPhoto, Recognition
from .settings import Plan, Settings, plan_cloak, plan_label


class Protector:
    """Protects photos with the graphs in one folder. Graphs are loaded when first needed and then kept."""

    def __init__(self, artifacts: Path | str | None = None, threads: int | None = None) -> None:
        """Name the artifacts.

        Args:
            artifacts: a folder that `face-encryption export` wrote; None for the package's own, which a wheel of
                `make wheel` has, and where it has none for ./artifacts.
            threads: how many threads one inference uses; None for one per core.

        Raises:
            ArtifactsError: there is no such folder.

        Warns:
            UserWarning: the program imported onnxruntime before, without its opt-out from reporting; said once.
        """
        warn_if_reporting()
        self.artifacts = Artifacts(artifacts, threads)

    @property
    def classes(self) -> list[str]:
        """The identities that the recognizer was trained on; any of them can be a label."""
        return self._manifest.recognizer.classes

    @property
    def _manifest(self) -> Manifest:
        return self.artifacts.manifest

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """Find the faces in an upright RGB image, uint8 [H, W, 3], and number them from left to right.

        Raises:
            ArtifactsError: the detector cannot be loaded or run.
        """
        return self.look(image).faces

    def look(
        self,
        image: NDArray[np.uint8],
        min_score: float | None = None,
        boxes: Sequence[Box] = (),
        small_faces: bool = False,
    ) -> Detection:
        """Find the faces in an upright RGB image, uint8 [H, W, 3], and where the detector is unsure.

        Args:
            image: uint8 [H, W, 3].
            min_score: from this score on something counts as a face, above 0 and at most 1; None for the artifacts'
                default.
            boxes: faces given by hand, x0, y0, x1, y1 in pixels, each in place of what was found there.
            small_faces: look closer, for faces of less than a fiftieth of the photo's width.

        Raises:
            SettingError: a box lies outside of the image.
            ArtifactsError: the detector cannot be loaded or run.
        """
        facts = self._manifest.detector
        score = facts.score if min_score is None else min_score
        try:
            return find_faces(self.artifacts.detector, image, score, facts.unsure, boxes, small_faces)
        except ValueError as error:
            raise SettingError(str(error)) from error

    def recognize(self, face: NDArray[np.uint8]) -> Recognition:
        """Recognize a face.

        Args:
            face: uint8 [S, S, 3], RGB, as `cut_square` cuts it with the margin of the artifacts.

        Raises:
            ArtifactsError: the recognizer cannot be loaded or run.
        """
        embedding, probabilities = self.artifacts.recognizer.run(["embedding", "probabilities"], {"face": face})
        best = int(np.argmax(probabilities))
        return Recognition(embedding, probabilities, self.classes[best], float(probabilities[best]))

    def enroll(self, data: bytes) -> NDArray[np.float32]:
        """Return what the recognizers see in all faces of a photo, float32 [N, D], for the gallery in `Settings`.

        D is 512, or more where other recognizers joined the export. It serves this folder of artifacts alone.

        Args:
            data: the bytes of a JPEG, PNG or WebP file. The faces of several photos make one gallery by
                `np.concatenate`.

        Raises:
            PhotoError: the photo cannot be read.
            NoFaceError: there is no face in it.
            ArtifactsError: the artifacts are missing or damaged.
            MemoryError: the photo is too large for the memory there is.
        """
        margin = self._manifest.recognizer.crop_margin
        photo = read_photo(data)
        parts = [cut_part(photo, 0, face, margin) for face in self.detect(photo.pixels)]
        if not parts:
            raise NoFaceError("no face found")
        return np.stack([self._embed(part, part.original) for part in parts])

    def check(self, settings: Settings) -> None:
        """Load what the settings need, so that a mistake in them shows before the first photo.

        Raises:
            SettingError: the label is unknown.
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
            SettingError: a setting names a label or a face that does not exist.
            ArtifactsError: the artifacts are missing, damaged or do not belong together.
            MemoryError: the photo is too large for the memory there is.
        """
        settings = settings or Settings()
        attack = self._attack(settings)
        photo = read_photo(data, settings.metadata)
        parts, hints = self._parts(photo, settings)
        done = []
        for part in parts:
            start = time.perf_counter()
            subject = self._subject(part, settings)
            square, plan = self._attempt(attack, subject, photo, settings)
            photo.paste(square, part.corner)
            done.append((subject, plan, time.perf_counter() - start))
        encoded, notes = photo.encode(), photo.notes
        del photo  # so that no two pictures are in memory at once

        saved = read_squares(encoded, [(part.corner, len(part.original)) for part in parts])
        faces = [self._result(*each, square) for each, square in zip(done, saved, strict=True)]
        return ProtectedPhoto(encoded, tuple(faces), (*hints, *notes))

    def measure(self, original: bytes, protected: bytes, settings: Settings | None = None) -> tuple[FaceResult, ...]:
        """Measure a protected copy again: is each face of the original still a match in it?

        Args:
            original: the bytes of a photo.
            protected: the bytes of its copy.
            settings: which faces, and the gallery; how they were protected does not matter.

        Raises:
            PhotoError: one of the two cannot be read, or they are of different sizes.
            NoFaceError, SettingError, ArtifactsError, MemoryError: as `protect`.
        """
        settings = settings or Settings()
        photo = read_photo(original)
        (parts, _), shape = self._parts(photo, settings), photo.shape
        del photo
        try:
            copy = read_photo(protected)
        except PhotoError as error:
            raise PhotoError(f"the copy: {error}") from error
        if copy.shape != shape:
            raise PhotoError("the copy is not of the photo's size")
        faces = []
        for part in parts:
            start = time.perf_counter()
            subject = self._subject(part, settings)
            square = copy.cut(part.corner, len(part.original))
            faces.append(self._result(subject, None, time.perf_counter() - start, square))
        return tuple(faces)

    def _parts(self, photo: Photo, settings: Settings) -> tuple[list[Part], tuple[str, ...]]:
        """Find the faces to protect and cut them out before any of them changes; also returns what to tell the user."""
        margin = self._manifest.recognizer.crop_margin
        seen = self.look(photo.pixels, settings.min_score, settings.boxes, settings.small_faces)
        faces, hints = seen.faces, detection_notes(seen)
        if not faces:
            raise NoFaceError("; ".join(["no face found; nothing was written", *hints]))
        parts = [cut_part(photo, number, faces[number - 1], margin) for number in choose_faces(faces, settings.faces)]
        return parts, (f"faces found: {len(faces)}", *hints)

    def _embed(self, part: Part, square: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return what the recognizers behind the cloak see in a face, float32 [D], in its square or a changed one."""
        (embedding,) = self.artifacts.cloak_reference.run(["reference"], {"face": square, "keypoints": part.keypoints})
        return np.asarray(embedding)

    def _subject(self, part: Part, settings: Settings) -> Subject:
        if settings.labelled:  # nobody tries to change what the others see
            before = self.recognize(part.original)
            own = [each for each in self._manifest.surrogates if each.name == OWN]
            return Subject(part, before, own, before.embedding, np.zeros((0, len(before.embedding)), np.float32))
        recognizers, face = self._manifest.surrogates, self._embed(part, part.original)
        return Subject(part, None, recognizers, face, matches(recognizers, settings.gallery, face))

    def _attempt(
        self, attack: CloakAttack | LabelAttack, subject: Subject, photo: Photo, settings: Settings
    ) -> tuple[NDArray[np.uint8], Plan]:
        """Return the square of the first attempt after which the face is no match, or of the one nearest to it."""
        part, seed = subject.part, settings.seed + subject.part.number - 1
        square = photo.cut(part.corner, len(part.original))  # with the changes of faces whose squares overlap it
        plans: Sequence[Plan] = attack.plans
        bound = max(plan.bound for plan in plans)
        best: tuple[float, NDArray[np.uint8], Plan] | None = None
        for attempt, plan in enumerate(plans):
            changed = attack(square, subject, seed, attempt)
            if photo.grey:
                changed = grey(changed)  # of a grey square this is the square plus the mean change
            changed = part.limit(changed, bound)
            if len(plans) == 1:
                return changed, plan
            seen = subject.compare(self._embed(part, changed))
            above = max(each.similarity - each.threshold for each in seen)
            if best is None or above < best[0]:
                best = above, changed, plan
            if above < -self._manifest.margin:
                break
        assert best is not None
        return best[1:]

    def _result(self, subject: Subject, plan: Plan | None, seconds: float, square: NDArray[np.uint8]) -> FaceResult:
        """Measure a face on its square as it was saved, uint8 [S, S, 3]."""
        part, after = subject.part, self.recognize(square) if subject.before else None
        results = subject.compare(after.embedding if after else self._embed(part, square))
        (own,) = (each for each in results if each.name == OWN)
        change, psnr = difference(part.original[part.inside], square[part.inside])
        return FaceResult(
            number=part.number,
            face=part.face,
            before=subject.before,
            after=after,
            similarity=own.similarity,
            threshold=own.threshold,
            surrogates=tuple(each for each in results if each is not own),
            gallery=len(subject.known),
            plan=plan,
            change=change,
            psnr=psnr,
            seconds=seconds,
        )

    def plan(self, settings: Settings) -> Plan:
        """Return the numbers that an attack with these settings begins with.

        Raises:
            SettingError: the artifacts know no strength or effort of this name.
            ArtifactsError: the manifest cannot be read.
        """
        if settings.labelled:
            return plan_label(self._manifest.label, settings)
        return plan_cloak(self._manifest.cloak, settings)[0]

    def _attack(self, settings: Settings) -> CloakAttack | LabelAttack:
        """Return the attack; all graphs are loaded here, so that it does not count as the time of the first face."""
        artifacts = self.artifacts
        if not settings.labelled:
            plans = plan_cloak(self._manifest.cloak, settings)
            steps, ends = artifacts.cloak_steps, (artifacts.cloak_begin, artifacts.cloak_end)
            # Ours, the largest, asks last in a round.
            load_graphs([artifacts.detector, *reversed(steps), artifacts.cloak_reference, *ends])
            return CloakAttack(ends[0], steps, ends[1], plans)
        label = None
        if settings.label is not None:
            if settings.label not in self.classes:
                close = difflib.get_close_matches(settings.label, self.classes, 1)
                hint = f'did you mean "{close[0]}"?' if close else "`face-encryption inspect --json` lists the labels"
                raise SettingError(f'no label "{settings.label}" among {len(self.classes)}; {hint}')
            label = self.classes.index(settings.label)
        load_graphs([artifacts.detector, artifacts.label_attack, artifacts.recognizer])
        return LabelAttack(artifacts.label_attack, (plan_label(self._manifest.label, settings),), label)

"""The people that protection is measured on: their clean photos, found and embedded once for all settings."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from face_encryption.runtime import NoFaceError, PhotoError, Protector

from ..data.cutting import read_photo
from ..data.layouts import DataError, Photo, list_data
from ..threads import in_parallel
from .probes import Embed, Embedding, Picture, detect_main_face, embed_all

# A clean photo and its embedding by each recognizer, None without a face.
_Portrait = tuple[Picture, dict[str, Embedding | None]]


@dataclass(frozen=True)
class People:
    """Those whose protection is measured.

    Attributes:
        probes: their clean probes by name, each with a face.
        clean, gallery: f32 [N, D] by recognizer, embeddings of the clean probes and of another photo of each person.
        distractors: f32 [M, D] by recognizer, embeddings of other people.
        known: f32 [n, D] by name, what the attack's gallery holds of a person: that of `Settings`.
        left_out: the names of those in one of whose clean photos no face was found.
    """

    probes: dict[str, Picture]
    clean: dict[str, Embedding]
    gallery: dict[str, Embedding]
    distractors: dict[str, Embedding]
    known: dict[str, Embedding]
    left_out: list[str]


def find_people(
    protector: Protector,
    recognizers: Mapping[str, Embed],
    data: Path,
    pairs: Sequence[tuple[Photo, Photo]],
    distractors: int = 0,
    gallery: int = 0,
) -> People:
    """Find and embed the faces of pairs (probe, gallery) of photos below `data`, a pair a person.

    `distractors` are so many other people of the data, whom a probe may be taken for, and `gallery` so many other
    photos of each person, from which the attack knows them too. Raises `DataError` for an unreadable photo, or for
    fewer than two people with faces.
    """
    others, more = _other_photos(data, pairs, distractors, gallery)

    def find(photo: Photo) -> _Portrait:
        picture = detect_main_face(protector, read_photo(data / photo.path))
        return picture, embed_all(recognizers, picture)

    photos = [photo for pair in pairs for photo in pair] + others
    portraits = in_parallel(find, photos, f"embedding {len(photos)} clean photos")
    people = dict(
        zip((probe.name for probe, _ in pairs), zip(portraits[::2], portraits[1::2], strict=False), strict=False)
    )
    kept = {name: pair for name, pair in people.items() if all(picture.face for picture, _ in pair)}
    if len(kept) < 2:
        raise DataError(f"{data}: a face in both photos of {len(kept)} people; it takes two people at least")

    def stack(each: Sequence[_Portrait]) -> dict[str, Embedding]:
        return {name: _stack([embeddings[name] for _, embeddings in each]) for name in recognizers}

    return People(
        {name: probe[0] for name, (probe, _) in kept.items()},
        stack([probe for probe, _ in kept.values()]),
        stack([enrolled for _, enrolled in kept.values()]),
        stack(portraits[2 * len(pairs) :]),
        enroll_all(protector, data, more) if gallery else {},
        [name for name in people if name not in kept],
    )


def enroll_all(protector: Protector, data: Path, photos: Sequence[Photo]) -> dict[str, Embedding]:
    """Return what the attack's gallery holds of each person, f32 [N, D] by name; what shows no face is left out."""

    def work(photo: Photo) -> Embedding | None:
        with contextlib.suppress(NoFaceError, PhotoError):
            return protector.enroll((data / photo.path).read_bytes())
        return None

    galleries: dict[str, list[Embedding]] = {}
    for photo, faces in zip(photos, in_parallel(work, photos, f"enrolling {len(photos)} photos"), strict=True):
        if faces is not None:
            galleries.setdefault(photo.name, []).append(faces)
    return {name: np.concatenate(faces) for name, faces in galleries.items()}


def _other_photos(
    data: Path, pairs: Sequence[tuple[Photo, Photo]], distractors: int, gallery: int
) -> tuple[list[Photo], list[Photo]]:
    """Return a photo each of so many people who are in no pair, and so many more photos of each person who is."""
    if not distractors and not gallery:
        return [], []
    paired = {photo for pair in pairs for photo in pair}
    more: dict[str, list[Photo]] = {photo.name: [] for photo in paired}
    others: dict[str, Photo] = {}
    for photo in list_data(data).everything:
        if photo.name not in more:
            others[photo.name] = photo
        elif photo not in paired and len(more[photo.name]) < gallery:
            more[photo.name].append(photo)
    return list(others.values())[:distractors], [photo for photos in more.values() for photo in photos]


def _stack(embeddings: Sequence[Embedding | None]) -> Embedding:
    faces = [each for each in embeddings if each is not None]
    return np.stack(faces) if faces else np.empty((0, 0), np.float32)

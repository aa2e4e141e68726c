"""Sets of faces: each found once, cut out, described by the teachers, and kept on disk."""

import csv
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import track

from face_encryption.runtime.onnx_runtime import ort

from ..distill.aligned import AlignedRecognizer
from ..distill.onnx_network import CPU
from ..distill.teacher import Teacher, describe
from ..threads import ahead
from .cutting import CACHE_MARGIN, cut_face, find_face, open_detector, read_photo
from .layouts import DataError, Photo

# Cuts of another version may show other faces.
VERSION = 2


@dataclass
class FaceSet:
    """Faces of one list.

    `faces` are cuts u8 [M, C, C, 3], `names` the identity of each, `keypoints` f32 [M, 6, 2] the detector's in pixels
    of the cut, `teacher` f32 [M, D] what the teachers see in each, or None. `key` stands for all that
    they were made from.
    """

    faces: npt.NDArray[np.uint8]
    names: list[str]
    keypoints: npt.NDArray[np.float32]
    teacher: npt.NDArray[np.float32] | None = None
    key: str = ""


def load_faces(
    root: Path,
    photos: Sequence[Photo],
    detector: Path,
    cache: Path,
    size: int,
    teachers: Sequence[AlignedRecognizer] = (),
    *,
    alone: bool = False,
    bf16: bool = False,
    device: torch.device = CPU,
) -> FaceSet:
    """Find, cut and cache the main face of each photo, and what teachers see in it, with `bf16` in mixed precision.

    `size` is the edge in pixels of the kept cuts. Photos that are unreadable or show no face, or with `alone` two of
    about the same prominence, are left out and written, with the reason, to `skipped.csv` in the cache folder.
    Raises `DataError` when no face is left, `RecognizerError` for a teacher with ops that PyTorch cannot take over.
    """
    facts = [[*asdict(photo).values(), digest(root / photo.path)] for photo in photos]
    made_with = [size, CACHE_MARGIN, alone, VERSION, digest(detector)]
    folder = cache_folder(cache, [facts, *made_with, *(f"{teacher.digest} {bf16}" for teacher in teachers)])
    if not (folder / "names.json").exists():
        networks = [Teacher(each, bf16, device) for each in teachers]
        _fill_cache(folder, root, photos, open_detector(detector), size, networks, alone)
    return read_cache(folder)


def cache_folder(cache: Path, facts: list[Any]) -> Path:
    """Return the folder for what these facts decide."""
    return cache / hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def read_cache(folder: Path) -> FaceSet:
    """Read what `write_cache` wrote; the cuts stay on disk until they are looked at."""
    teacher = np.load(folder / "teacher.npy") if (folder / "teacher.npy").exists() else None
    names = json.loads((folder / "names.json").read_text())
    faces, keypoints = np.load(folder / "faces.npy", mmap_mode="c"), np.load(folder / "keypoints.npy")
    return FaceSet(faces, names, keypoints, teacher, folder.name)


def write_cache(folder: Path, faces: FaceSet) -> None:
    """Keep a set of faces in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "faces.npy", faces.faces)
    np.save(folder / "keypoints.npy", faces.keypoints)
    if faces.teacher is not None:
        np.save(folder / "teacher.npy", faces.teacher)
    # The names come last: their presence says that the folder is whole.
    partial = folder / "names.json.partial"
    partial.write_text(json.dumps(faces.names))
    partial.replace(folder / "names.json")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, "" for one that cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:  # whoever needs the file says so
        return ""


def _fill_cache(
    folder: Path,
    root: Path,
    photos: Sequence[Photo],
    detector: ort.InferenceSession,
    size: int,
    teachers: Sequence[Teacher],
    alone: bool,
) -> None:
    def find(photo: Photo) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]] | str:
        try:
            image = read_photo(root / photo.path)
            face = find_face(detector, image, alone=alone)
        except DataError as error:
            return str(error)
        return cut_face(image, face, size)

    names, keypoints, skipped = [], [], []
    folder.parent.mkdir(parents=True, exist_ok=True)
    # The cuts of a large data set do not fit into memory.
    with TemporaryFile(dir=folder.parent) as kept:
        results = ahead(find, photos, os.cpu_count() or 1)
        for photo, result in zip(photos, track(results, f"cutting {len(photos)} faces", len(photos)), strict=True):
            if isinstance(result, str):
                skipped.append((photo.path, result))
                continue
            kept.write(result[0].tobytes())
            names.append(photo.name)
            keypoints.append(result[1])
        if not names:
            raise DataError(f"{root}: no face found in any of the {len(photos)} photos")
        kept.flush()
        cuts = np.memmap(kept, np.uint8, "c", shape=(len(names), size, size, 3))
        faces = FaceSet(cuts, names, np.stack(keypoints))
        if teachers:
            faces.teacher = describe(teachers, faces.faces, faces.keypoints, mirrored=True)
        folder.mkdir(exist_ok=True)
        with (folder / "skipped.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("photo", "reason"), *skipped])
        write_cache(folder, faces)
    print(f"{len(names)} faces cut, {len(skipped)} photos skipped (see {folder / 'skipped.csv'})")

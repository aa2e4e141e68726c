"""Photos -> faces: find each face once, cut it out, let a teacher see it, and keep the result on disk."""

import csv
import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import onnx
import torch
from google.protobuf.message import DecodeError
from PIL import Image, ImageOps
from rich.progress import track

from face_encryption.runtime.faces import Face, cut_square, detect, main_face, prominence
from face_encryption.runtime.onnx_runtime import ort
from face_encryption.training.aligned import AlignedRecognizer
from face_encryption.training.data import DataError, Photo
from face_encryption.training.onnx_network import CPU
from face_encryption.training.teacher import Teacher, describe

T = TypeVar("T")
R = TypeVar("R")

# The cut that is kept is wider than the one that is trained on, so that rotation and shift find real pixels.
CACHE_MARGIN = 0.5
# A second face of at least this part of the first one's prominence leaves open whom a photo shows.
RIVAL = 0.75
# Cuts of another version may show other faces.
VERSION = 2
NO_DETECTOR = "{}: no detector; make it with: face-encryption export --detector-only"


def cut_scale(margin: float) -> float:
    """Return the edge of the square with `margin` on each side, as a part of the cached cut's edge."""
    return (1 + 2 * margin) / (1 + 2 * CACHE_MARGIN)


def cut_size(input_size: int, margin: float) -> int:
    """Return the edge in pixels of cached cuts in which a recognizer's input keeps its resolution."""
    return round(input_size / cut_scale(margin))


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


def read_photo(path: Path) -> npt.NDArray[np.uint8]:
    """Read a photo upright as u8 [H, W, 3], RGB. Raises `DataError`."""
    try:
        with Image.open(path) as file:
            return np.asarray(ImageOps.exif_transpose(file).convert("RGB"))
    except Exception as error:  # Pillow's errors for damaged files have no common type
        raise DataError(f"unreadable: {error}") from None


def find_face(detector: ort.InferenceSession, image: npt.NDArray[np.uint8], *, alone: bool) -> Face:
    """Find the face that a photo is about; `alone` when no other may be nearly as prominent.

    Raises `DataError` when there is none, or a rival.
    """
    faces = detect(detector, image)
    if not faces:
        raise DataError("no face")
    face = main_face(faces, image.shape)
    enough = RIVAL * prominence(face.box, image.shape)
    if alone and any(other is not face and prominence(other.box, image.shape) >= enough for other in faces):
        raise DataError("two faces of equal size")
    return face


def cut_face(
    image: npt.NDArray[np.uint8], face: Face, size: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Cut a face with `CACHE_MARGIN` on each side of its box, as u8 [size, size, 3]; with its keypoints there."""
    square, corner = cut_square(image, face.box, CACHE_MARGIN)
    cut = np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.BILINEAR))
    return cut, ((face.keypoints - corner) * size / len(square)).astype(np.float32)


def open_detector(path: Path) -> ort.InferenceSession:
    """Open an exported detector. Raises `DataError`."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception:  # onnxruntime's errors have no common type
        raise DataError(NO_DETECTOR.format(path)) from None


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
    facts = [
        [[*asdict(photo).values(), digest(root / photo.path)] for photo in photos],
        size,
        CACHE_MARGIN,
        alone,
        VERSION,
    ]
    folder = cache_folder(cache, [*facts, _found_by(detector), *(f"{teacher.digest} {bf16}" for teacher in teachers)])
    if not (folder / "names.json").exists():
        given = [Teacher(each, bf16, device) for each in teachers]
        _fill_cache(folder, root, photos, open_detector(detector), size, given, alone)
    return read_cache(folder)


def in_parallel(work: Callable[[T], R], items: Sequence[T], description: str) -> list[R]:
    """Do the same for every item, one thread a core, and show progress; returns the results in order."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(track(threads.map(work, items), description, len(items)))


def ahead(work: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[R]:
    """Do the same for every item and return the results in order, some of them made while earlier ones are used.

    Without threads each is made when it is asked for.
    """
    if not threads:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[R]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


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


def _found_by(detector: Path) -> str:
    """Stand for what a detector computes: another version of its metadata finds the same faces."""
    try:
        return hashlib.sha256(onnx.load(detector).graph.SerializeToString(deterministic=True)).hexdigest()
    except OSError as error:
        raise DataError(f"{detector}: cannot read it ({error.strerror})") from None
    except DecodeError:
        raise DataError(NO_DETECTOR.format(detector)) from None


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
        found = ahead(find, photos, os.cpu_count() or 1)
        for photo, result in zip(photos, track(found, f"cutting {len(photos)} faces", len(photos)), strict=True):
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

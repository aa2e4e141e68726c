"""Photos -> faces: find each face once, cut it out, let a teacher see it, and keep the result on disk."""

import csv
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from PIL import Image, ImageOps
from rich.progress import track

from face_encryption.runtime.faces import Face, cut_square, detect, largest_face
from face_encryption.training.data import DataError, Photo
from face_encryption.training.distill import Teacher, align

# The cut that is kept is wider than the one that is trained on, so that rotation and shift find real pixels.
CACHE_MARGIN = 0.5
# A second face of at least this part of the first one's area leaves open whom a photo shows.
RIVAL = 0.9


def cut_scale(margin: float) -> float:
    """Return the edge of the square with `margin` on each side, as a part of the cached cut's edge."""
    return (1 + 2 * margin) / (1 + 2 * CACHE_MARGIN)


def cut_size(input_size: int, margin: float) -> int:
    """Return the edge in pixels of cached cuts in which a recognizer's input keeps its resolution."""
    return round(input_size / cut_scale(margin))


@dataclass
class FaceSet:
    """Faces of one list: `faces` u8 [M, C, C, 3], `names` the identity of each, `teacher` f32 [M, D] or None."""

    faces: npt.NDArray[np.uint8]
    names: list[str]
    teacher: npt.NDArray[np.float32] | None = None


def read_photo(path: Path) -> npt.NDArray[np.uint8]:
    """Read a photo upright as u8 [H, W, 3], RGB. Raises `DataError`."""
    try:
        with Image.open(path) as file:
            return np.asarray(ImageOps.exif_transpose(file).convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"unreadable: {error}") from None


def main_face(detector: ort.InferenceSession, image: npt.NDArray[np.uint8], *, alone: bool) -> Face:
    """Find the face that a photo is about, the largest; `alone` when no other may be nearly as large.

    Raises `DataError` when there is none, or a rival.
    """
    faces = detect(detector, image)
    if not faces:
        raise DataError("no face")
    face = largest_face(faces)
    rivals = [other for other in faces if other is not face and _area(other) >= RIVAL * _area(face)]
    if alone and rivals:
        raise DataError("two faces of equal size")
    return face


def _area(face: Face) -> float:
    x0, y0, x1, y1 = face.box
    return (x1 - x0) * (y1 - y0)


def cut_face(image: npt.NDArray[np.uint8], face: Face, size: int) -> npt.NDArray[np.uint8]:
    """Cut a face with `CACHE_MARGIN` on each side of its box, as u8 [size, size, 3]."""
    square, _ = cut_square(image, face.box, CACHE_MARGIN)
    return np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.BILINEAR))


def open_detector(path: Path) -> ort.InferenceSession:
    """Open an exported detector. Raises `DataError`."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception:  # onnxruntime's errors have no common type
        raise DataError(f"{path}: no detector; make it with: face-encryption export --detector-only") from None


def load_faces(
    root: Path,
    photos: Sequence[Photo],
    detector: Path,
    cache: Path,
    size: int,
    teacher: Path | None = None,
    *,
    alone: bool = False,
) -> FaceSet:
    """Find, cut and cache the main face of each photo.

    `size` is the edge in pixels of the kept cuts. Photos that are unreadable or show no face, or with `alone` two of
    about the same size, are left out and written, with the reason, to `skipped.csv` in the cache folder.
    Raises `DataError` when no face is left, and `TeacherError`.
    """
    facts = [str(root.resolve()), [asdict(photo) for photo in photos], size, CACHE_MARGIN, alone]
    key = json.dumps([*facts, _digest(detector), teacher and _digest(teacher)])
    folder = cache / hashlib.sha256(key.encode()).hexdigest()[:16]
    if not (folder / "names.json").exists():
        _fill_cache(folder, root, photos, open_detector(detector), size, Teacher(teacher) if teacher else None, alone)
    embeddings = np.load(folder / "teacher.npy") if teacher else None
    names = json.loads((folder / "names.json").read_text())
    return FaceSet(np.load(folder / "faces.npy", mmap_mode="c"), names, embeddings)


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot read it ({error.strerror})") from None


def _fill_cache(
    folder: Path,
    root: Path,
    photos: Sequence[Photo],
    detector: ort.InferenceSession,
    size: int,
    teacher: Teacher | None,
    alone: bool,
) -> None:
    cuts, names, embeddings, skipped = [], [], [], []
    for photo in track(photos, f"cutting {len(photos)} faces"):
        try:
            image = read_photo(root / photo.path)
            face = main_face(detector, image, alone=alone)
        except DataError as error:
            skipped.append((photo.path, str(error)))
            continue
        cuts.append(cut_face(image, face, size))
        names.append(photo.name)
        if teacher:
            embeddings.append(teacher.embed(align(image, face.keypoints)))
    if not cuts:
        raise DataError(f"{root}: no face found in any of the {len(photos)} photos")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "skipped.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("photo", "reason"), *skipped])
    np.save(folder / "faces.npy", np.stack(cuts))
    if embeddings:
        np.save(folder / "teacher.npy", np.stack(embeddings))
    # The names come last: their presence says that the folder is whole.
    partial = folder / "names.json.partial"
    partial.write_text(json.dumps(names))
    partial.replace(folder / "names.json")
    print(f"{len(cuts)} faces cut, {len(skipped)} photos skipped (see {folder / 'skipped.csv'})")

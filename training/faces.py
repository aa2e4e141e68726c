"""Photos -> faces: list a folder of identities, find each face once, cut it out, and keep the cuts on disk.

A data set is a folder per identity (`root/NAME/photo.jpg`). Lists name photos relative to the root, one a line.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from PIL import Image, ImageOps
from rich.progress import track

from face_encryption.runtime.faces import Face, cut_square, detect, largest_face

# The cut that is kept is wider than the one that is trained on, so that rotation and shift find real pixels.
CACHE_MARGIN = 0.5
PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
# Where face recognizers for 112x112 pixels expect the eyes, nose tip and mouth centre (ArcFace's template).
TEMPLATE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [56.1396, 92.2848]])


class DataError(ValueError):
    """A data set that cannot be used: a missing folder or list, a list naming a missing file, no faces."""


@dataclass
class FaceSet:
    """Faces of one list: `faces` u8 [M, C, C, 3], `names` the identity of each, `teacher` f32 [M, D] or None."""

    faces: npt.NDArray[np.uint8]
    names: list[str]
    teacher: npt.NDArray[np.float32] | None = None


def list_photos(root: Path) -> list[str]:
    """List every photo of a folder-per-identity data set, relative to `root`, sorted. Raises `DataError`."""
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; it should hold a folder of photos for each identity")
    photos = sorted(
        p.relative_to(root).as_posix() for p in root.glob("*/*") if p.is_file() and p.suffix.lower() in PHOTO_SUFFIXES
    )
    if not photos:
        raise DataError(f"{root}: no photos in its subfolders; it should hold a folder of photos for each identity")
    return photos


def read_list(path: Path, root: Path) -> list[str]:
    """Read a list of photos, each of which must exist below `root`. Raises `DataError` naming the first bad line."""
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot read the list ({error.strerror})") from None
    photos = [line.strip() for line in lines if line.strip()]
    if not photos:
        raise DataError(f"{path}: the list is empty")
    for number, photo in enumerate(photos, 1):
        if "/" not in photo or not (root / photo).is_file():
            raise DataError(f"{path}:{number}: no photo {photo} below {root}")
    return photos


def align(image: npt.NDArray[np.uint8], keypoints: npt.NDArray[np.float32]) -> Image.Image:
    """Warp a face to the 112x112 template by the least-squares similarity transform of eyes, nose and mouth centre.

    `image` is u8 [H, W, 3]; `keypoints` f32 [6, 2] are the detector's, in pixels.
    """
    source = keypoints[[0, 1, 2, 3]].astype(np.float64)  # the subject's right eye is on the picture's left
    rows = [[x, -y, 1, 0] for x, y in TEMPLATE] + [[y, x, 0, 1] for x, y in TEMPLATE]
    # Pillow wants the map from output to input, so solve for that one directly.
    a, b, tx, ty = np.linalg.lstsq(np.array(rows), np.concatenate([source[:, 0], source[:, 1]]), rcond=None)[0]
    warp = (a, -b, tx, b, a, ty)
    return Image.fromarray(image).transform((112, 112), Image.Transform.AFFINE, warp, Image.Resampling.BILINEAR)


class Teacher:
    """A face recognizer given as ONNX that takes aligned RGB faces [1, 3, 112, 112] in 0..255, such as SFace."""

    def __init__(self, path: Path) -> None:
        """Load the model. Raises `DataError` when it is missing or takes another input size."""
        if not path.is_file():
            raise DataError(f"{path}: no such teacher model")
        self.session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0]
        if list(self.input.shape[1:]) != [3, 112, 112]:
            raise DataError(f"{path}: the teacher takes {self.input.shape}, not [1, 3, 112, 112]")

    def embed(self, face: Image.Image) -> npt.NDArray[np.float32]:
        """Embed an aligned face and its mirror image; returns their mean, f32 [D], of unit norm."""
        total = 0
        for view in (face, ImageOps.mirror(face)):
            pixels = np.asarray(view, np.float32).transpose(2, 0, 1)[None]
            total = total + self.session.run(None, {self.input.name: pixels})[0][0]
        return np.asarray(total / np.linalg.norm(total), np.float32)


def _cut(image: npt.NDArray[np.uint8], face: Face, size: int) -> npt.NDArray[np.uint8]:
    square, _ = cut_square(image, face.box, CACHE_MARGIN)
    return np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.BILINEAR))


def load_faces(
    root: Path, photos: Sequence[str], detector: Path, cache: Path, size: int, teacher: Path | None = None
) -> FaceSet:
    """Find, cut and cache the main face of each photo.

    `size` is the edge in pixels of the kept cuts, which reach `CACHE_MARGIN` beyond the box. Photos that are unreadable
    or show no face are left out and written, with the reason, to `skipped.csv` in the cache folder.
    Raises `DataError` when no face is left.
    """
    recipe = [str(root.resolve()), *photos, size, CACHE_MARGIN, _digest(detector), teacher and _digest(teacher)]
    folder = cache / hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:16]
    if not (folder / "names.json").exists():
        _fill_cache(folder, root, photos, detector, size, teacher)
    embeddings = np.load(folder / "teacher.npy") if teacher else None
    names = json.loads((folder / "names.json").read_text())
    return FaceSet(np.load(folder / "faces.npy", mmap_mode="c"), names, embeddings)


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot read it ({error.strerror})") from None


def _fill_cache(
    folder: Path, root: Path, photos: Sequence[str], detector: Path, size: int, teacher: Path | None
) -> None:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(detector), options, providers=["CPUExecutionProvider"])
    model = Teacher(teacher) if teacher else None
    cuts, names, embeddings, skipped = [], [], [], []
    for photo in track(photos, f"cutting {len(photos)} faces"):
        try:
            with Image.open(root / photo) as file:
                image = np.asarray(ImageOps.exif_transpose(file).convert("RGB"))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            skipped.append(f"{photo},unreadable: {error}")
            continue
        faces = detect(session, image)
        if not faces:
            skipped.append(f"{photo},no face")
            continue
        face = largest_face(faces)
        cuts.append(_cut(image, face, size))
        names.append(photo.split("/")[0])
        if model:
            embeddings.append(model.embed(align(image, face.keypoints)))
    if not cuts:
        raise DataError(f"{root}: no face found in any of the {len(photos)} photos")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "skipped.csv").write_text("\n".join(["photo,reason", *skipped]) + "\n")
    np.save(folder / "faces.npy", np.stack(cuts))
    if embeddings:
        np.save(folder / "teacher.npy", np.stack(embeddings))
    # The names come last: their presence says that the folder is whole.
    (folder / "names.json").write_text(json.dumps(names))
    print(f"{len(cuts)} faces cut, {len(skipped)} photos skipped (see {folder / 'skipped.csv'})")

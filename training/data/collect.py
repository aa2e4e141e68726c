"""Photos, folders and videos of one person -> an identity to train on, split into training and test pictures."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps
from rich.progress import track

from face_encryption.runtime.faces import cut_square
from face_encryption.runtime.files import PHOTO_SUFFIXES

from .cutting import find_face, open_detector, read_photo
from .layouts import DataError

Picture = npt.NDArray[np.uint8]

# What training cuts, it cuts from these pictures: they reach further, on each side in parts of the box's longer edge.
MARGIN = 0.75
# Two pictures are nearly the same when their 16x16 thumbnails differ by less than this many levels on average.
NEARLY_THE_SAME = 3.0
SHEET_COLUMNS, SHEET_EDGE = 10, 96


@dataclass
class Collection:
    """How many pictures were kept to train and to test on, the contact sheet, and why others were left out."""

    train: int
    test: int
    sheet: Path
    skipped: Counter[str]


def collect(name: str, sources: Sequence[Path], out: Path, detector: Path, frames: int = 40) -> Collection:
    """Cut the face out of each source and write `out/train/NAME`, `out/test/NAME` and the contact sheet `out/NAME.png`.

    At most `frames` pictures are kept, sampled uniformly; every fourth is for the test. Files appear together or not at
    all. Raises `DataError` when the name or a source cannot be used, or fewer than two faces are left.
    """
    if name in ("", ".", "..") or "/" in name or "\\" in name:
        raise DataError(f"{name!r} cannot be an identity's name, since it will be a folder's")
    folders = {part: out / part / name for part in ("train", "test")}
    if taken := [path for path in (*folders.values(), out / f"{name}.png") if path.exists()]:
        raise DataError(f"{taken[0]} exists already; remove it or choose another name")
    session = open_detector(detector)
    kept: list[Picture] = []
    thumbnails: list[npt.NDArray[np.float64]] = []
    skipped: Counter[str] = Counter()
    for look in track(list(_pictures(sources, frames)), f"looking for {name}"):
        try:
            picture = look()
            face = find_face(session, picture, alone=True)
        except DataError as error:
            skipped[str(error)] += 1
            continue
        cut, _ = cut_square(picture, face.box, MARGIN)
        thumbnail = np.asarray(Image.fromarray(cut).convert("L").resize((16, 16), Image.Resampling.BOX), np.float64)
        if any(np.abs(thumbnail - other).mean() < NEARLY_THE_SAME for other in thumbnails):
            skipped["nearly the same as another"] += 1
            continue
        kept.append(cut)
        thumbnails.append(thumbnail)
    if len(kept) < 2:
        reasons = "; ".join(f"{reason}: {count}" for reason, count in skipped.items())
        raise DataError(f"{len(kept)} usable pictures of {name}, at least 2 are needed ({reasons or 'no sources'})")
    if len(kept) > frames:
        skipped["more than asked for"] = len(kept) - frames
        kept = [kept[round(i)] for i in np.linspace(0, len(kept) - 1, frames)]
    # Of two or three pictures the last is for the test.
    tested = set(range(3, len(kept), 4)) or {len(kept) - 1}
    _write(out, name, kept, tested)
    return Collection(len(kept) - len(tested), len(tested), out / f"{name}.png", skipped)


def _pictures(sources: Sequence[Path], frames: int) -> Iterator[Callable[[], Picture]]:
    """Yield a reader for each photo, and for each of `frames` moments of a video."""
    for source in sources:
        for file in sorted(source.rglob("*")) if source.is_dir() else [source]:
            if file.suffix.lower() in PHOTO_SUFFIXES:
                yield partial(read_photo, file)
            elif file.is_file():
                yield from _video_frames(file, frames, whole_folder=source.is_dir())


def _video_frames(path: Path, frames: int, *, whole_folder: bool) -> Iterator[Callable[[], Picture]]:
    """Yield readers of frames at uniform distances; a file that is no video is an error unless its folder was named."""
    try:
        container = av.open(str(path))
        stream = container.streams.video[0]
        if container.format.name == "tty":  # FFmpeg draws any text as a film
            raise ValueError("a text")
    except (av.FFmpegError, IndexError, ValueError):
        if whole_folder:
            return
        raise DataError(f"{path}: neither a photo nor a video") from None
    duration = container.duration
    if duration is None:  # as pictures of other formats have none
        message = "not a photo of a known format, nor a video that says how long it is"
        if not whole_folder:
            raise DataError(f"{path}: {message}")

        def refuse() -> Picture:
            raise DataError(message)

        yield refuse
        return

    def read(moment: float) -> Picture:
        try:
            # Seeking stops at the key frame before, from which the frames must be decoded one after the other.
            container.seek(round(moment * av.time_base))
            for frame in container.decode(stream):
                if frame.time is None or frame.time >= moment:
                    break
            upright = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))
            return np.ascontiguousarray(upright)
        except (av.FFmpegError, UnboundLocalError) as error:
            raise DataError(f"unreadable: {error}") from None

    for number in range(frames):
        yield partial(read, (number + 0.5) / frames * duration / av.time_base)


def _write(out: Path, name: str, pictures: Sequence[Picture], tested: set[int]) -> None:
    """Write the pictures and the contact sheet, in which those for the test have a frame."""
    rows = -(-len(pictures) // SHEET_COLUMNS)
    sheet = Image.new("RGB", (SHEET_COLUMNS * SHEET_EDGE, rows * SHEET_EDGE), "white")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".collect-") as folder:
            for part in ("train", "test"):
                (Path(folder) / part).mkdir()
            for number, picture in enumerate(pictures):
                part = "test" if number in tested else "train"
                image = Image.fromarray(picture)
                image.save(Path(folder) / part / f"{number:03}.png")
                small = image.resize((SHEET_EDGE, SHEET_EDGE), Image.Resampling.BOX)
                if number in tested:
                    small = ImageOps.expand(small.crop((3, 3, SHEET_EDGE - 3, SHEET_EDGE - 3)), 3, "orange")
                sheet.paste(small, (number % SHEET_COLUMNS * SHEET_EDGE, number // SHEET_COLUMNS * SHEET_EDGE))
            sheet.save(Path(folder) / "sheet.png")
            (Path(folder) / "sheet.png").replace(out / f"{name}.png")
            for part in ("test", "train"):
                (out / part).mkdir(exist_ok=True)
                (Path(folder) / part).replace(out / part / name)
    except OSError as error:
        raise DataError(f"{out}: cannot write the pictures ({error.strerror})") from None

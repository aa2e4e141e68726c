"""Which files to read, and where to write the results; `writing` writes them.

A folder's own outputs are not taken as photos again.
"""

import glob
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .errors import OutputError, PhotoError
from .writing import reason
from .writing import write as write

PHOTO_SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp"}
PROTECTED = "_protected"
DETECTED = "_faces"
# No photo is longer; reading one that is would take the memory that decoding needs.
MAX_MEGABYTES = 200
# Names that end so are not meant as folders. They are those of other pictures, documents and films.
_OTHER_SUFFIXES = {
    *(".avif", ".bmp", ".dng", ".gif", ".heic", ".heif", ".jp2", ".jxl", ".psd", ".raw", ".svg", ".tif", ".tiff"),
    *(".mov", ".mp4", ".pdf", ".txt", ".zip"),
}
# How a file of each format begins.
_STARTS = {b"\xff\xd8\xff": ".jpg", b"\x89PNG\r\n\x1a\n": ".png", b"RIFF": ".webp"}


def find_photos(text: str) -> list[Path]:
    """Return the photos that a file, a folder or a glob pattern names, sorted.

    A file is always taken. In a folder (not its subfolders) and for a pattern, only visible files with the suffix of a
    photo are, and none that this program wrote: no protected copy, and no `a_faces.jpg` beside an `a.jpg`.

    Raises:
        PhotoError: the folder or the pattern names no photo, or the text is empty.
    """
    if not text:
        raise PhotoError("an empty name; is a variable not set?")
    path = Path(text)
    if os.path.isdir(path):
        try:
            entries = sorted(path.iterdir())
        except OSError as error:
            raise PhotoError(f"cannot be read ({reason(error)}); check its permissions") from error
        nothing = f"no photo in this folder; looked for {' '.join(sorted(PHOTO_SUFFIXES))}"
        nothing += f", found {others}" if (others := left_out(path)) else ""
    elif glob.has_magic(text) and not os.path.exists(path):
        entries = [Path(match) for match in sorted(glob.glob(text, recursive=True))]
        nothing = "no photo matches this pattern"
    else:
        return [path]
    if not (photos := [entry for entry in entries if _is_photo(entry)]):
        raise PhotoError(nothing)
    return photos


def left_out(folder: Path) -> str:
    """Say which visible entries of a folder `find_photos` does not take, such as "2 folders, 3 .heic"; "" for none."""
    counts = Counter(_kind(each) for each in folder.iterdir() if not each.name.startswith(".") and not _is_photo(each))
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))


def source(path: Path) -> Path | None:
    """Return the photo beside it that a file is a result of, by its name; None for another file's name."""
    for ending in (PROTECTED, DETECTED):
        if path.stem.endswith(ending):
            return path.with_name(path.stem.removesuffix(ending) + path.suffix)
    return None


def read(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        PhotoError: it is missing, unreadable, too long, or not a regular file.
    """
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            raise PhotoError("not a file")  # a device or a pipe may never end
        if (size := os.path.getsize(path)) > MAX_MEGABYTES * 10**6:
            raise PhotoError(f"{size // 10**6} MB are more than {MAX_MEGABYTES}, the most for a photo; make it smaller")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise PhotoError(f"cannot be read ({reason(error)}); check the path and its permissions") from error


@dataclass(frozen=True)
class Target:
    """Where the result for one photo goes.

    Attributes:
        path: the file to write.
        named: the user named exactly this file, rather than a folder.
    """

    path: Path
    named: bool


def choose_targets(photos: list[Path], inputs: Iterable[str], out: str | None, ending: str) -> list[Target]:
    """Return where the result for each photo goes: `<stem><ending>.<suffix>` beside it, or under `out`.

    Args:
        photos: what `find_photos` found.
        inputs: what it found them from.
        out: None for beside each photo; a file when there is one input file and `out` has the suffix of a photo;
            otherwise a folder, which need not exist.
        ending: `PROTECTED` or `DETECTED`.

    Raises:
        OutputError: `out` is empty, "-", or a file with the suffix of another format than the photo's.
    """
    if out == "":
        raise OutputError("an empty name to write to; is a variable not set?")
    if out == "-":
        raise OutputError("nothing is written to standard output; name a file or a folder, such as ./-")
    if out is not None and not os.path.isdir(out) and not out.endswith(("/", os.sep)):
        path = Path(out)
        if path.suffix.lower() in _OTHER_SUFFIXES:
            raise OutputError(
                f"{path}: a photo keeps its format; name a file that ends as it does, or a folder, with /"
            )
        if len(photos) == 1 and not any(map(os.path.isdir, inputs)) and path.suffix.lower() in PHOTO_SUFFIXES:
            families = _families(photos[0])
            if families and _family(path.suffix) not in families:
                raise OutputError(f"{path}: a photo keeps its format; let the name end in {' or '.join(families)}")
            return [Target(path, named=True)]
    return [
        Target((photo.parent if out is None else Path(out)) / f"{photo.stem}{ending}{photo.suffix}", named=False)
        for photo in photos
    ]


def _is_photo(path: Path) -> bool:
    return (
        path.suffix.lower() in PHOTO_SUFFIXES
        and not path.name.startswith(".")
        and not _is_result(path)
        and os.path.isfile(path)
    )


def _is_result(path: Path) -> bool:
    # People name their own photos "class_faces.jpg", too.
    original = source(path)
    return original is not None and (path.stem.endswith(PROTECTED) or os.path.isfile(original))


def _kind(path: Path) -> str:
    if os.path.isdir(path):
        return "folders"
    if _is_result(path):
        return f"*{PROTECTED}" if path.stem.endswith(PROTECTED) else f"*{DETECTED}"
    return path.suffix.lower() or "without a suffix"


def _families(photo: Path) -> list[str]:
    """Return the suffixes that a copy of a photo may have: its own and that of what it holds."""
    try:
        with open(photo, "rb") as file:
            start = file.read(8)
    except OSError:  # which is said when the photo's turn comes
        start = b""
    held = [suffix for beginning, suffix in _STARTS.items() if start.startswith(beginning)]
    own = [photo.suffix] if photo.suffix.lower() in PHOTO_SUFFIXES else []
    return list(dict.fromkeys(_family(suffix) for suffix in own + held))


def _family(suffix: str) -> str:
    """Return the suffix in small letters, or one of them where several are in use for a format."""
    return ".jpg" if suffix.lower() in {".jpeg", ".jpe", ".jfif"} else suffix.lower()

"""Which files to read, where to write the results, and writing them whole or not at all.

An output is never written over an existing file, and a folder's own outputs are not taken as photos again.
"""

import contextlib
import errno
import glob
import os
import secrets
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .errors import OutputError, PhotoError

PHOTO_SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp"}
PROTECTED = "_protected"
DETECTED = "_faces"
# What a file system without hard links (FAT, some network shares) answers to link().
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.EINVAL}


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
            raise PhotoError(f"cannot be read ({_reason(error)}); check its permissions") from error
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
        PhotoError: it is missing, unreadable, or not a regular file.
    """
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            raise PhotoError("not a file")  # a device or a pipe may never end
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise PhotoError(f"cannot be read ({_reason(error)}); check the path and its permissions") from error


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
        OutputError: `out` is empty, or a file with the suffix of another format than the photo's.
    """
    if out == "":
        raise OutputError("an empty name to write to; is a variable not set?")
    if out is not None and len(photos) == 1 and not any(map(os.path.isdir, inputs)):
        path, photo = Path(out), photos[0]
        if not os.path.isdir(path) and not out.endswith(("/", os.sep)) and path.suffix.lower() in PHOTO_SUFFIXES:
            if photo.suffix.lower() in PHOTO_SUFFIXES and _family(path) != _family(photo):
                raise OutputError(f"{path}: a photo keeps its format; let the name end in {photo.suffix}")
            return [Target(path, named=True)]
    return [
        Target((photo.parent if out is None else Path(out)) / f"{photo.stem}{ending}{photo.suffix}", named=False)
        for photo in photos
    ]


def write(path: Path, data: bytes) -> None:
    """Write a new file, whole or not at all; folders on the way to it are made.

    Raises:
        OutputError: the file exists, or the system does not let it be written.
    """
    part = path.parent / f".{secrets.token_hex(8)}.part"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(part, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            _publish(part, path)
        finally:  # also when interrupted
            with contextlib.suppress(OSError):
                part.unlink()
    except FileExistsError as error:
        if not os.path.exists(path):  # the file that exists is one where a folder should be
            raise OutputError(f"{path}: cannot be written ({_reason(error)}); choose another with -o") from error
        raise OutputError(f"{path}: exists already and is never overwritten; remove it or choose another") from error
    except (OSError, ValueError) as error:
        raise OutputError(f"{path}: cannot be written ({_reason(error)}); choose another place with -o") from error


def _publish(part: Path, path: Path) -> None:
    """Give a finished file its name, unless the name is taken."""
    try:
        os.link(part, path)  # unlike a rename, this fails when the name is taken
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        path.touch(exist_ok=False)  # take the name, then replace what is now surely one's own
        try:
            os.replace(part, path)
        except BaseException:
            path.unlink()
            raise


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


def _family(path: Path) -> str:
    """Return the suffix, or one of them where several are in use for a format."""
    suffix = path.suffix.lower()
    return ".jpg" if suffix in {".jpeg", ".jpe", ".jfif"} else suffix


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)

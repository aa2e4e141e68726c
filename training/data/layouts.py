"""Which photos a run learns from and is tested on: three layouts of folders, and lists.

- A folder per identity, `NAME/photo.jpg`: tested on every fourth photo of each, or on what lists name.
- The CelebA-HQ facial identity data set: `train/ID/photo.jpg` and `test/ID/photo.jpg`.
- CelebA as torchvision stores it: `img_align_celeba/000001.jpg` with the identities in `identity_CelebA.txt`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from face_encryption.runtime.files import PHOTO_SUFFIXES

# An identity with fewer photos gives none of them away for validation.
ENOUGH_TO_SHARE = 4


class DataError(ValueError):
    """A data set that cannot be used: a missing folder or list, a list naming a missing file, no faces."""


@dataclass(frozen=True, order=True)
class Photo:
    """A photo's path, relative to the data set's folder, and the name of the identity that it shows."""

    path: str
    name: str


@dataclass
class Photos:
    """The photos of a data set: those to train on, those to test on, and all there are."""

    train: list[Photo]
    test: list[Photo]
    everything: list[Photo]


def list_data(root: Path, train_list: Path | None = None, test_list: Path | None = None) -> Photos:
    """List the photos of a data set in any of the layouts; lists, given together, decide instead of the layout.

    Raises `DataError`.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; it should hold a folder of photos for each identity")
    if bool(train_list) != bool(test_list):
        raise DataError("give both a training list and a test list, or neither")
    if (root / "identity_CelebA.txt").is_file():
        everything = _celeba(root)
        train, test = split_identities(everything)
    elif (root / "train").is_dir() and (root / "test").is_dir():
        train, test = _folders(root / "train", root), _folders(root / "test", root)
        everything = train + test
    else:
        everything = _folders(root, root)
        train, test = split_identities(everything)
    if train_list and test_list:
        names = {photo.path: photo for photo in everything}
        train, test = read_list(train_list, root, names), read_list(test_list, root, names)
        if both := sorted({photo.path for photo in train} & {photo.path for photo in test}):
            raise DataError(f"{test_list}: {both[0]} is in the training list too")
    if not train:
        raise DataError(f"{root}: no photos; it should hold a folder of photos for each identity")
    if unknown := sorted({photo.name for photo in test} - {photo.name for photo in train}):
        raise DataError(f"the test photos show {unknown[0]}, whom no training photo shows")
    return Photos(train, test, everything)


def _folders(folder: Path, root: Path) -> list[Photo]:
    files = (file for file in folder.glob("*/*") if file.suffix.lower() in PHOTO_SUFFIXES and file.is_file())
    return sorted(Photo(file.relative_to(root).as_posix(), file.parent.name) for file in files)


def _celeba(root: Path) -> list[Photo]:
    path = root / "identity_CelebA.txt"
    rows = [line.split() for line in path.read_text().splitlines() if line.strip()]
    if any(len(row) != 2 for row in rows):
        raise DataError(f"{path}: each line should hold a file name and the number of an identity")
    present = (row for row in rows if (root / "img_align_celeba" / row[0]).is_file())
    return [Photo(f"img_align_celeba/{file}", identity) for file, identity in present]


def read_list(path: Path, root: Path, known: dict[str, Photo] | None = None) -> list[Photo]:
    """Read a list of photos, a line each, relative to `root`; one that stands there twice counts once.

    The identity is that in `known`, by path, or the name of the photo's folder. Raises `DataError` naming the first
    bad line.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot read the list ({getattr(error, 'strerror', error)})") from None
    photos = []
    for number, line in enumerate(lines, 1):
        for entry in line.split():
            if "/" not in entry or not (root / entry).is_file():
                raise DataError(f"{path}:{number}: no photo {entry} below {root}")
            photos.append((known or {}).get(entry, Photo(entry, PurePosixPath(entry).parent.name)))
    if not photos:
        raise DataError(f"{path}: the list is empty")
    return list(dict.fromkeys(photos))


def read_pairs(path: Path, root: Path) -> list[tuple[Photo, Photo]]:
    """Read a list of pairs, "probe gallery" a line, two photos of one person below `root`. Raises `DataError`."""
    photos = {photo.path: photo for photo in read_list(path, root)}
    pairs = [line.split() for line in path.read_text().splitlines() if line.strip()]
    for number, pair in enumerate(pairs, 1):
        if len(pair) != 2 or photos[pair[0]].name != photos[pair[1]].name or pair[0] == pair[1]:
            raise DataError(f"{path}:{number}: not two photos of one person")
    if len({photos[probe].name for probe, _ in pairs}) < max(len(pairs), 2):
        raise DataError(f"{path}: each person should have one line, and there should be two people at least")
    return [(photos[probe], photos[gallery]) for probe, gallery in pairs]


def split_identities(photos: Iterable[Photo]) -> tuple[list[Photo], list[Photo]]:
    """Split photos into some to train on and some to test on: of each identity every fourth is for the test."""
    train: list[Photo] = []
    test: list[Photo] = []
    seen: dict[str, int] = {}
    for photo in photos:
        seen[photo.name] = seen.get(photo.name, 0) + 1
        (test if seen[photo.name] % 4 == 0 else train).append(photo)
    return train, test


def split_validation(photos: Sequence[Photo]) -> tuple[list[Photo], list[Photo]]:
    """Split photos into the rest and a validation part: the last photo of each identity that has enough of them."""
    last = {photo.name: photo for photo in photos}
    count: dict[str, int] = {}
    for photo in photos:
        count[photo.name] = count.get(photo.name, 0) + 1
    held = {photo for name, photo in last.items() if count[name] >= ENOUGH_TO_SHARE}
    return [photo for photo in photos if photo not in held], [photo for photo in photos if photo in held]

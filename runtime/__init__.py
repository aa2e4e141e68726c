"""Runtime: artifacts and a photo in, a protected photo out (numpy, onnxruntime, Pillow)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import ArtifactsError, FaceEncryptionError, NoFaceError, OutputError, PhotoError, SettingError

if TYPE_CHECKING:
    from .faces import Face, cut_square, detect, paste_square
    from .photo import Photo, read_photo
    from .protector import Protector
    from .results import FaceResult, ProtectedPhoto, Recognition
    from .settings import Settings

# Imported when first used, so that the command line answers --help without loading onnxruntime.
_LAZY = {
    "Face": "faces",
    "FaceResult": "results",
    "Photo": "photo",
    "ProtectedPhoto": "results",
    "Protector": "protector",
    "Recognition": "results",
    "Settings": "settings",
    "cut_square": "faces",
    "detect": "faces",
    "paste_square": "faces",
    "read_photo": "photo",
}

__all__ = [
    "ArtifactsError",
    "Face",
    "FaceEncryptionError",
    "FaceResult",
    "NoFaceError",
    "OutputError",
    "Photo",
    "PhotoError",
    "ProtectedPhoto",
    "Protector",
    "Recognition",
    "SettingError",
    "Settings",
    "cut_square",
    "detect",
    "paste_square",
    "read_photo",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LAZY[name]}", __name__), name)

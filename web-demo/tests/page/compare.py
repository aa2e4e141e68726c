"""Protect photos in Python, and compare what the page made of them: `compare.py ARTIFACTS FOLDER`, JSON on stdout.

The folder holds photos and beside each `name_protected.suffix`, the page's.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from face_encryption.runtime import Protector
from face_encryption.runtime.faces import overlap, square_around


def upright(path: Path) -> Image.Image:
    """Return a picture as it is shown."""
    return ImageOps.exif_transpose(Image.open(path))


def compare(protector: Protector, margin: float, original: Path, theirs: Path) -> dict[str, Any]:
    """Return how a photo that the page protected differs from the one that is made here."""
    data = original.read_bytes()
    ours = protector.protect(data)
    path = theirs.with_name("python_" + theirs.name)
    path.write_bytes(ours.data)
    one, other = (upright(each) for each in (path, theirs))
    same_mode = one.mode == other.mode
    levels, their_levels = (np.asarray(each.convert("RGBA"), np.int16) for each in (one, other))
    change = np.abs(levels - their_levels).max(axis=2)
    outside = np.ones(change.shape, bool)
    for face in ours.faces:
        corner, side = square_around(face.face.box, margin)
        outside[overlap(change.shape, side + 16, (corner[0] - 8, corner[1] - 8))[0]] = False
    measured = protector.measure(data, theirs.read_bytes())
    return {
        "same_mode": same_mode,
        "same_profile": one.info.get("icc_profile") == other.info.get("icc_profile"),
        "same_density": [round(value) for value in one.info.get("dpi", ())]
        == [round(value) for value in other.info.get("dpi", ())],
        "same_coding": bool(one.info.get("progressive")) == bool(other.info.get("progressive")),
        "metadata": [key for key in ("exif", "xmp", "comment") if other.info.get(key)],
        "outside": int(change[outside].max(initial=0)),
        "inside": float((change[~outside] > 8).mean()) if (~outside).any() else 0.0,
        "matched": [face.matched for face in ours.faces],
        "their_matched": [face.matched for face in measured],
        "similarity": [face.similarity for face in ours.faces],
        "their_similarity": [face.similarity for face in measured],
        "grey": bool((their_levels[..., :1] == their_levels[..., 1:3]).all()),
        "notes": list(ours.notes),
    }


if __name__ == "__main__":
    protector = Protector(sys.argv[1], threads=1)
    margin = json.loads((Path(sys.argv[1]) / "manifest.json").read_text())["recognizer"]["crop_margin"]
    folder = Path(sys.argv[2])
    results = {}
    for theirs in sorted(folder.glob("*_protected.*")):
        if not theirs.name.startswith("python_"):
            original = theirs.with_name(theirs.name.replace("_protected", ""))
            results[original.name] = compare(protector, margin, original, theirs)
    json.dump(results, sys.stdout)

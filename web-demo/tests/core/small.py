"""Small faces in a large photo, and what Python finds at a closer look: `small.py ARTIFACTS SOURCE PNG`, as JSON."""

import json
import sys

import numpy as np
from PIL import Image

from face_encryption.runtime import Protector

# Some lie where the parts meet that are looked at.
CORNERS = [(300, 420), (820, 1200), (1560, 850), (1940, 150), (1100, 740)]


def write_photo(source: str, path: str) -> np.ndarray:
    """Write and return a photo, u8 [1400, 2001, 3], with faces of some 24 pixels."""
    head = Image.open(source).convert("RGB").crop((100, 20, 350, 250)).resize((60, 55), Image.Resampling.LANCZOS)
    photo = Image.new("RGB", (2001, 1400), (90, 90, 90))
    for corner in CORNERS:
        photo.paste(head, corner)
    photo.save(path)
    return np.asarray(photo)


if __name__ == "__main__":
    protector = Protector(sys.argv[1], threads=1)
    photo = write_photo(sys.argv[2], sys.argv[3])
    seen = {small: protector.look(photo, small_faces=small) for small in (False, True)}
    boxes = {str(small): [face.box for face in each.faces] for small, each in seen.items()}
    keypoints = [face.keypoints.tolist() for face in seen[True].faces]
    unsure = [face.box for face in seen[True].unsure]
    json.dump({"first": boxes["False"], "closer": boxes["True"], "keypoints": keypoints, "unsure": unsure}, sys.stdout)

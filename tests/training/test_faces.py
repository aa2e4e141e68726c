"""Photos -> faces: what is kept of a data set, and what it takes."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from face_encryption.runtime.faces import detect
from face_encryption.training.data.cutting import find_face, open_detector
from face_encryption.training.data.faces import load_faces
from face_encryption.training.data.layouts import DataError, list_data


def test_cuts_are_kept_on_the_disk_not_in_memory(data: Path, detector: Path, tmp_path: Path) -> None:
    photos, size = 8 * list_data(data).train, 400
    tracemalloc.start()
    try:
        faces = load_faces(data, photos, detector, tmp_path / "cache", size, alone=True)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert faces.names == [photo.name for photo in photos if photo.path.rpartition("/")[2][1:] == ".png"]
    assert faces.faces.shape == (len(faces.names), size, size, 3)
    assert most < faces.faces.nbytes / 2
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [faces.key]


def test_a_photo_shows_whoever_is_in_its_middle(astronaut: NDArray[np.uint8], detector: Path) -> None:
    face = Image.fromarray(astronaut).crop((140, 20, 310, 240))
    larger = face.resize((204, 264))
    session = open_detector(detector)

    def photo(*placed: tuple[Image.Image, int]) -> NDArray[np.uint8]:
        scene = Image.new("RGB", (640, 360), "gray")
        for picture, x in placed:
            scene.paste(picture, (x, 70))
        return np.asarray(scene)

    image = photo((face, 235), (larger, 0))
    side, middle = sorted(detect(session, image), key=lambda found: found.box)
    assert side.box[2] - side.box[0] > middle.box[2] - middle.box[0]
    assert find_face(session, image, alone=True) == middle
    with pytest.raises(DataError, match="two faces of equal size"):
        find_face(session, photo((face, 60), (face, 410)), alone=True)

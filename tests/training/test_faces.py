"""Photos -> faces: what is kept of a data set, and what it takes."""

import tracemalloc
from pathlib import Path

from face_encryption.training.data import list_data
from face_encryption.training.faces import load_faces


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

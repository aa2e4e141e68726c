from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from face_encryption.runtime import Protector
from face_encryption.runtime.detection import LARGE, TILE, detect_small, find_faces
from face_encryption.runtime.report import detection_notes

from .sessions import BoxSession

PHOTO = np.zeros((100, 200, 3), np.uint8)
SEEN = BoxSession([[100, 10, 140, 50], [10, 10, 50, 50], [60, 10, 100, 50], [12, 12, 52, 52]], [0.9, 0.8, 0.45, 0.42])


def test_faces_are_numbered_from_the_left_and_doubts_are_kept_apart() -> None:
    seen = find_faces(SEEN, PHOTO, 0.5, 0.4)
    assert [face.box for face in seen.faces] == [(10, 10, 50, 50), (100, 10, 140, 50)]
    assert [face.box for face in seen.unsure] == [(60, 10, 100, 50)]  # the other one shows the first face again
    (note,) = detection_notes(seen)
    # The score is 0.45 in float32, a little below: a minimum of 0.45 would miss it.
    assert note == "perhaps a face at 60,10 to 100,50 (score 0.45): if so, add --min-score 0.44 or --box 60,10,100,50"


def test_what_a_note_says_to_do_finds_the_face() -> None:
    for found in (find_faces(SEEN, PHOTO, 0.44, 0.4), find_faces(SEEN, PHOTO, 0.5, 0.4, boxes=[(60, 10, 100, 50)])):
        assert [face.box for face in found.faces] == [(10, 10, 50, 50), (60, 10, 100, 50), (100, 10, 140, 50)]
        assert not found.unsure


def test_a_box_by_hand_takes_the_place_of_what_was_found_there() -> None:
    seen = find_faces(SEEN, PHOTO, 0.5, 0.4, boxes=[(8, 8, 48, 48)])
    assert (seen.faces[0].box, seen.faces[0].score) == ((8, 8, 48, 48), 1)
    assert len(seen.faces) == 2
    assert (seen.faces[0].keypoints == 28).all()
    with pytest.raises(ValueError, match=r"the box 200,0,220,20 is not in the photo of 200x100"):
        find_faces(SEEN, PHOTO, 0.5, 0.4, boxes=[(200, 0, 220, 20)])


def test_small_and_cut_faces_are_named() -> None:
    seen = find_faces(BoxSession([[-30, 10, 30, 70], [150, 20, 165, 35], [60, 10, 120, 70]]), PHOTO, 0.5, 0.4)
    cut, small = detection_notes(seen)
    assert cut.startswith("face 1 at -30,10 to 30,70 is cut by the photo's border")
    assert small.startswith("face 3 at 150,20 to 165,35 is only 15 pixels large")


def test_a_closer_look_finds_small_faces(artifacts: Path, astronaut: NDArray[np.uint8]) -> None:
    """Faces of 24 pixels in a photo of 12 megapixels, some of them where the parts that are looked at meet."""
    photo = np.full((3000, 4000, 3), 90, np.uint8)
    head = astronaut[20:250, 100:350]  # with a face of some 100 pixels
    small = np.asarray(Image.fromarray(head).resize((60, 55), Image.Resampling.LANCZOS))
    corners = [(300, 420), (820, 1500), (1560, 2050), (2450, 700), (3900, 2900), (3100, 1480)]
    for x, y in corners:
        photo[y : y + 55, x : x + 60] = small
    protector = Protector(artifacts)
    seen = protector.look(photo, small_faces=True)
    assert len(protector.look(photo).faces) < len(corners)
    found = [any(x < (face.box[0] + face.box[2]) / 2 < x + 60 for face in seen.faces) for x, _ in corners]
    assert all(found)
    assert len(seen.faces) == len(corners), [face.box for face in seen.faces]
    assert all(10 < face.box[2] - face.box[0] < 40 for face in seen.faces)
    assert all((np.abs(face.keypoints - face.box[:2]) < 60).all() for face in seen.faces)


def test_a_closer_look_leaves_large_and_cut_faces_to_the_first() -> None:
    """At the same place of each part: one that is large, one cut at the right, one that is small and whole."""
    large, cut, whole = [10, 10, 20 + LARGE, 50], [TILE - 20, 10, TILE + 4, 34], [400, 300, 430, 330]
    photo = np.zeros((TILE, 2 * TILE - LARGE, 3), np.uint8)
    faces = detect_small(BoxSession([large, cut, whole]), photo, 0.5)
    lefts = sorted(face.box[0] for face in faces)
    assert lefts == [400, 400 + TILE - LARGE, 2 * TILE - LARGE - 20]

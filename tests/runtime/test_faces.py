import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from face_encryption.runtime.faces import MIN_SIDE, Box, Face, cut_square, detect, main_face, paste_square

from .sessions import BoxSession

coordinates = st.floats(-60, 120)
boxes = st.tuples(coordinates, coordinates, coordinates, coordinates)
images = arrays(np.uint8, st.tuples(st.integers(1, 50), st.integers(1, 50), st.just(3)))


@pytest.mark.parametrize(
    ("box", "margin", "side", "corner"),
    [
        pytest.param((10, 20, 30, 40), 0.0, 20, (10, 20), id="square box"),
        pytest.param((10, 20, 30, 60), 0.0, 40, (0, 20), id="the longer edge decides"),
        pytest.param((10, 20, 30, 40), 0.25, 30, (5, 15), id="margin on each side"),
        pytest.param((-10, -10, 10, 10), 0.0, 20, (-10, -10), id="leaves the image"),
        pytest.param((10, 10, 12, 12), 0.0, MIN_SIDE, (3, 3), id="tiny"),
        pytest.param((0, 0, 20.5, 20.5), 0.0, 21, (0, 0), id="halves round up"),
        pytest.param((200, 200, 220, 220), 0.0, 20, (200, 200), id="outside"),
    ],
)
def test_geometry_of_the_cut(box: tuple[float, ...], margin: float, side: int, corner: tuple[int, int]) -> None:
    image = np.full((100, 100, 3), 255, np.uint8)
    square, found = cut_square(image, box, margin)  # type: ignore[arg-type]
    assert square.shape == (side, side, 3)
    assert found == corner


@given(image=images, box=boxes, margin=st.floats(0, 1))
def test_square_holds_the_image_inside_and_black_outside(
    image: np.ndarray, box: tuple[float, float, float, float], margin: float
) -> None:
    square, (x, y) = cut_square(image, box, margin)
    rows, columns = np.mgrid[y : y + len(square), x : x + len(square)]
    inside = (rows >= 0) & (rows < image.shape[0]) & (columns >= 0) & (columns < image.shape[1])
    assert np.array_equal(square[inside], image[rows[inside], columns[inside]])
    assert not square[~inside].any()


@given(image=images, box=boxes, margin=st.floats(0, 1))
def test_pasting_a_cut_back_changes_nothing_else(
    image: np.ndarray, box: tuple[float, float, float, float], margin: float
) -> None:
    square, corner = cut_square(image, box, margin)
    copy = image.copy()
    paste_square(copy, square, corner)
    assert np.array_equal(copy, image)
    paste_square(copy, ~square, corner)
    mark = np.zeros_like(image)
    paste_square(mark, np.ones_like(square), corner)
    assert np.array_equal(copy, np.where(mark == 1, ~image, image))


def test_cut_is_a_copy() -> None:
    image = np.zeros((50, 50, 3), np.uint8)
    square, _ = cut_square(image, (0, 0, 50, 50), 0)
    square[:] = 1
    assert not image.any()


@pytest.mark.parametrize("scale", [1, 40])
@pytest.mark.parametrize(
    ("boxes", "chosen"),
    [
        pytest.param([(40, 40, 60, 60), (20, 20, 50, 50)], 1, id="the larger one near the middle"),
        pytest.param([(75, 30, 105, 60), (35, 30, 63, 58)], 1, id="the middle one of about the same size"),
        pytest.param([(45, 45, 50, 50), (60, 40, 90, 70)], 1, id="not a tiny one in the middle"),
        pytest.param([(95, 95, 99, 99)], 0, id="the only one, in a corner"),
    ],
)
def test_a_photo_is_about_a_large_face_near_its_middle(boxes: list[Box], chosen: int, scale: int) -> None:
    faces = [Face(tuple(scale * edge for edge in box), 0.9, np.zeros((6, 2), np.float32)) for box in boxes]  # type: ignore[arg-type]
    for order in (faces, faces[::-1]):
        assert main_face(order, (100 * scale, 100 * scale, 3)) is faces[chosen]


@pytest.mark.parametrize("box", [(0, 0, float("nan"), 9), (0, 0, float("inf"), 9)])
def test_box_that_is_not_finite_is_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="not finite"):
        cut_square(np.zeros((9, 9, 3), np.uint8), box, 0)


@pytest.mark.parametrize(
    "image",
    [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3)), np.zeros((0, 9, 3), np.uint8)],
    ids=["no channels", "four channels", "float", "no pixels"],
)
def test_other_arrays_are_refused(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="an image is uint8"):
        cut_square(image, (0, 0, 9, 9), 0)


def test_detect_gives_the_detector_its_tensors_and_keeps_its_order() -> None:
    session = BoxSession([[5, 6, 7, 8], [1, 2, 3, 4]])
    faces = detect(session, np.zeros((9, 9, 3), np.uint8), 0.25, 7)
    assert [(face.box, face.score) for face in faces] == [((5, 6, 7, 8), 0.5), ((1, 2, 3, 4), 0.5)]
    assert {name: value.dtype for name, value in session.feed.items()} == {
        "image": np.uint8,
        "score_threshold": np.float32,
        "max_faces": np.int64,
    }


def test_detect_without_a_face() -> None:
    assert detect(BoxSession([]), np.zeros((9, 9, 3), np.uint8)) == []

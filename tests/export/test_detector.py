"""The detector that is exported: which faces it finds, where, and what it takes for none."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import skimage.data
from numpy.typing import NDArray
from onnx import TensorProto
from PIL import Image

from face_encryption.export.detector.blazeface import DetectorFileError
from face_encryption.export.detector.build import build_detector
from face_encryption.export.detector.builder import OPSET, GraphBuilder
from face_encryption.export.detector.windows import sample
from face_encryption.runtime.faces import Face, detect
from face_encryption.runtime.onnx_runtime import ort

MODELS = Path(__file__).parents[2] / "models"
Picture = NDArray[np.uint8]


def open_session(model: onnx.ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return build_detector(MODELS)


@pytest.fixture(scope="module")
def session(model: onnx.ModelProto) -> ort.InferenceSession:
    return open_session(model)


def read(path: Path) -> Picture:
    return np.asarray(Image.open(path).convert("RGB"))


def centre(face: Face) -> tuple[float, float]:
    x0, y0, x1, y1 = face.box
    return (x0 + x1) / 2, (y0 + y1) / 2


def shows(face: Face, drawn: list[int]) -> bool:
    """Tell whether a box lies in a drawn one grown by a fifth, and is about as wide."""
    x0, y0, x1, y1 = drawn
    slack, (x, y) = (x1 - x0) / 10, centre(face)
    inside = x0 - slack <= x <= x1 + slack and y0 - slack <= y <= y1 + slack
    return inside and 0.4 <= (face.box[2] - face.box[0]) / (x1 - x0) <= 2.5


def test_finds_the_drawn_faces(session: ort.InferenceSession, shared: Path) -> None:
    photos = json.loads((shared / "data/groups/faces.json").read_text())["photos"]
    extra = 0
    for name, boxes in photos.items():
        faces = detect(session, read(shared / "data/groups" / name))
        for drawn in boxes:
            assert any(shows(face, drawn) for face in faces), (name, drawn)
        extra += sum(not any(shows(face, drawn) for drawn in boxes) for face in faces)
    assert extra <= 2


def test_finds_the_people_in_group_photos(session: ort.InferenceSession, shared: Path) -> None:
    counts = {
        name: len(detect(session, read(shared / f"data/photos/group-{name}.jpg"))) for name in ("bbt1", "bbt3", "bbt5")
    }
    assert counts == {"bbt1": 4, "bbt3": 5, "bbt5": 5}
    assert len(detect(session, read(shared / "data/photos/group-selfie-many-people.jpg"))) in (6, 7)  # two are half cut


@pytest.mark.parametrize("quarters", range(4))
def test_a_turned_face_has_its_keypoints_where_they_are(session: ort.InferenceSession, quarters: int) -> None:
    upright = skimage.data.astronaut()
    (expected,), (face,) = detect(session, upright), detect(session, np.ascontiguousarray(np.rot90(upright, quarters)))
    points = face.keypoints
    for _ in range(quarters):  # back by a quarter clockwise
        points = np.stack([511 - points[:, 1], points[:, 0]], axis=1)
    np.testing.assert_allclose(points, expected.keypoints, atol=12)
    down = face.keypoints[3] - face.keypoints[:2].mean(0)
    assert np.abs(down).argmax() == (1, 0, 1, 0)[quarters]
    assert np.sign(down[np.abs(down).argmax()]) == (1, 1, -1, -1)[quarters]


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_finds_a_small_face_anywhere(session: ort.InferenceSession, scale: int) -> None:
    side = 512 * scale // 2
    face = np.asarray(Image.fromarray(skimage.data.astronaut()).resize((256, 256)))
    for x, y in ((0, 0), (side - 256, side // 3), (side // 2 - 128, side - 256)):
        canvas = np.full((side, side, 3), 90, np.uint8)
        canvas[y : y + 256, x : x + 256] = face
        (found,) = detect(session, canvas)
        assert np.hypot(*np.subtract(centre(found), (x + 112, y + 60))) < 15


def test_finds_a_face_that_fills_the_picture_and_one_that_its_border_cuts(session: ort.InferenceSession) -> None:
    astronaut = skimage.data.astronaut()
    ((x0, y0, x1, y1),) = (np.round(face.box).astype(int) for face in detect(session, astronaut))
    assert len(detect(session, np.ascontiguousarray(astronaut[y0:y1, x0:x1]))) == 1
    middle = (x0 + x1) // 2
    for half in (astronaut[:, : middle + (x1 - x0) // 4], astronaut[:, middle - (x1 - x0) // 4 :]):
        assert len(detect(session, np.ascontiguousarray(half))) == 1


def test_sees_no_face_where_there_is_none(session: ort.InferenceSession) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (500, 700, 3), np.uint8)
    grey = (
        skimage.data.brick(),
        skimage.data.grass(),
        skimage.data.gravel(),
        skimage.data.coins(),
        skimage.data.page(),
    )
    for picture in (noise, skimage.data.coffee(), skimage.data.rocket(), *(np.stack([one] * 3, -1) for one in grey)):
        assert detect(session, picture) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (4000, 1), (127, 129), (3000, 4000)])
def test_takes_any_size_and_content(session: ort.InferenceSession, shape: tuple[int, int]) -> None:
    assert detect(session, np.zeros((*shape, 3), np.uint8)) == []
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    for threshold in (0.0, 0.5):
        for face in detect(session, noise, threshold):
            assert np.isfinite(face.box).all()
            assert np.isfinite(face.keypoints).all()
    assert detect(session, noise, 1.1) == []


def test_keeps_the_best_faces_only(session: ort.InferenceSession) -> None:
    astronaut = skimage.data.astronaut()
    picture = np.hstack([astronaut, np.asarray(Image.fromarray(astronaut).resize((512, 512)))[:, ::-1]])
    everything = detect(session, picture, 0.05)
    assert len(everything) >= 2
    assert [face.score for face in everything] == sorted((face.score for face in everything), reverse=True)
    assert detect(session, picture, 0.05, 1) == everything[:1]
    assert detect(session, picture, 0.05, 0) == []


def test_graph_is_portable_and_describes_itself(model: onnx.ModelProto) -> None:
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    graphs = [
        model.graph,
        *(attribute.g for node in model.graph.node for attribute in node.attribute if attribute.g.node),
    ]
    assert {node.domain for graph in graphs for node in graph.node} == {""}
    assert {entry.key: entry.value for entry in model.metadata_props} == {"face_encryption.kind": "detector"}
    assert model.ByteSize() < 2.6e6


def test_refuses_a_folder_without_the_models(tmp_path: Path) -> None:
    with pytest.raises(DetectorFileError, match=r"blazeface_short_range\.onnx"):
        build_detector(tmp_path)


@pytest.mark.parametrize("quarters", range(4))
def test_a_window_shows_its_part_of_the_picture(quarters: int) -> None:
    builder = GraphBuilder()
    image = builder.input("image", TensorProto.UINT8, ["height", "width", 3])
    corner, side = (builder.input(name, TensorProto.FLOAT, [n]) for name, n in (("corner", 2), ("side", 1)))
    quarter = builder.input("quarter", TensorProto.INT64, [1])
    builder.output("seen", sample(builder, image, corner, side, quarter, 20), TensorProto.FLOAT, [1, 20, 20, 3])
    picture = np.random.default_rng(1).integers(0, 256, (30, 50, 3), np.uint8)
    feed = {"image": picture, "corner": [-10, -5], "side": [40], "quarter": [quarters]}
    types = {"corner": np.float32, "side": np.float32, "quarter": np.int64, "image": np.uint8}
    (seen,) = open_session(builder.model("part")).run(["seen"], {k: np.array(v, types[k]) for k, v in feed.items()})
    # Two source pixels for each, and black beyond the left and both the upper and the lower border.
    framed = np.zeros((40, 40, 3))
    framed[5:35, 10:40] = picture[:, :30]
    expected = framed.reshape(20, 2, 20, 2, 3).mean((1, 3)) * 2 / 255 - 1
    np.testing.assert_allclose(seen[0], np.rot90(expected, quarters), atol=1e-5)

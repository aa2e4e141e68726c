"""The golden vectors: what every client must make of one photo. Other runtimes read the same files."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from face_encryption.runtime.artifacts import Artifacts
from face_encryption.runtime.faces import cut_square, detect, paste_square, square_around
from face_encryption.runtime.onnx_runtime import ort
from face_encryption.runtime.photo import read_photo

FOLDER = Path(__file__).parent / "golden"
GOLDEN: dict[str, Any] = json.loads((FOLDER / "golden.json").read_text())
TOLERANCE = GOLDEN["tolerance"]
Pixels = NDArray[np.uint8]


def picture(said: dict[str, Any]) -> Pixels:
    pixels = np.asarray(Image.open(FOLDER / said["file"]))
    assert digest(pixels) == said["sha256"]
    return pixels


def digest(pixels: Pixels) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def f32(values: Any) -> NDArray[np.float32]:
    return np.array(values, np.float32)


@pytest.fixture(scope="module")
def graphs(artifacts: Path) -> Artifacts:
    """The folder that the vectors belong to."""
    graphs, said = Artifacts(artifacts, threads=1), GOLDEN["artifacts"]
    found = {
        "checkpoint_sha256": graphs.manifest.checkpoint_sha256,
        "surrogates": [each.name for each in graphs.manifest.surrogates],
        "arithmetic": graphs.manifest.content["recognizer"]["arithmetic"],
    }
    assert found == said, f"the golden vectors belong to other artifacts; make them again: {GOLDEN['made_by']}"
    return graphs


@pytest.fixture(scope="module")
def photo() -> Pixels:
    return picture(GOLDEN["photo"])


@pytest.fixture(scope="module")
def square(photo: Pixels) -> Pixels:
    (x, y), side = GOLDEN["square"]["corner"], GOLDEN["square"]["side"]
    return photo[y : y + side, x : x + side]


def session(graphs: Artifacts, name: str) -> ort.InferenceSession:
    return ort.InferenceSession(graphs.folder / graphs.manifest.graphs[name].file)


def steps(graphs: Artifacts, names: list[str], said: dict[str, Any], **given: Any) -> list[list[Any]]:
    """Take the steps that the vectors tell of, check their losses, and return what each gave.

    `given` are what all of them take, and the perturbation and the momentum buffer that the first one takes.
    """
    sessions = [session(graphs, name) for name in names]
    wanted = {value.name: value.type for value in sessions[0].get_inputs()}
    given |= {
        name: np.array(said[name], np.int64 if "int64" in wanted[name] else np.float32)
        for name in wanted
        if name in said
    }
    results, losses = [], []
    for number in range(said["steps"]):
        results.append(sessions[number % len(sessions)].run(None, given | {"iteration": np.array(number)}))
        given["perturbation"], given["momentum_buffer"] = results[-1][:2]
        losses.append(float(results[-1][-1]))
    assert losses == pytest.approx(said["losses"], abs=TOLERANCE["similarity"])
    return results


def assert_near(got: Pixels, said: dict[str, Any], square: Pixels, bound: float, done: int) -> None:
    want = picture(said)
    assert np.abs(got.astype(int) - square).max() <= bound
    assert np.abs(want.astype(int) - square).max() <= bound
    if done == 1:
        assert np.abs(got.astype(int) - want).mean() <= TOLERANCE["first_step"]


def test_small() -> None:
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 1e6


def test_detector(graphs: Artifacts, photo: Pixels) -> None:
    said = GOLDEN["detector"]
    for face, want in zip(detect(graphs.detector, photo, said["score"]), said["faces"], strict=True):
        np.testing.assert_allclose(face.box, want["box"], atol=TOLERANCE["box"])
        np.testing.assert_allclose(face.keypoints, want["keypoints"], atol=TOLERANCE["box"])
        assert face.score == pytest.approx(want["score"], abs=TOLERANCE["score"])


def test_squares(photo: Pixels) -> None:
    said = GOLDEN["square"]
    first = {"box": GOLDEN["detector"]["faces"][0]["box"], **said}
    for each in (first, *GOLDEN["squares"]):
        assert square_around(each["box"], said["crop_margin"]) == (tuple(each["corner"]), each["side"])
        assert digest(cut_square(photo, each["box"], said["crop_margin"])[0]) == each["sha256"]


def test_recognizer(graphs: Artifacts, square: Pixels) -> None:
    embedding, probabilities = graphs.recognizer.run(["embedding", "probabilities"], {"face": square})
    np.testing.assert_allclose(embedding, GOLDEN["recognizer"]["embedding"], atol=TOLERANCE["embedding"])
    assert probabilities.argmax() == GOLDEN["recognizer"]["class"]


def test_cloak(graphs: Artifacts, square: Pixels) -> None:
    said, surrogates = GOLDEN["cloak"], graphs.manifest.surrogates
    keypoints, ends = f32(said["keypoints"]), np.cumsum([each.embedding for each in surrogates])[:-1]

    def embed(face: Pixels) -> NDArray[np.float32]:
        (reference,) = graphs.cloak_reference.run(["reference"], {"face": face, "keypoints": keypoints})
        return np.asarray(reference)

    np.testing.assert_allclose(embed(square), said["reference"], atol=TOLERANCE["reference"])
    before = f32(said["reference"])
    names = [f"attack-feature-step-{turn}" for turn in graphs.manifest.cloak.turns]
    begin, end = (session(graphs, f"attack-feature-{name}") for name in ("begin", "end"))
    face = {"face": square, "keypoints": keypoints, "clamp": f32(said["clamp"]), "seed": np.array(said["seed"])}
    given = dict(zip([each.name for each in begin.get_outputs()], begin.run(None, face), strict=True))
    results = steps(graphs, names, said, reference=before, **given)
    for stage in said["after"]:
        change = {"perturbation": results[stage["done"] - 1][0], "clamp": f32(said["clamp"])}
        (got,) = end.run(None, {"face": square, **change})
        assert_near(got, stage, square, said["clamp"], stage["done"])
        for one, other, similarity in zip(
            np.split(before, ends), np.split(embed(got), ends), stage["similarities"], strict=True
        ):
            assert float(one @ other) == pytest.approx(similarity, abs=TOLERANCE["similarity"])


def test_label(graphs: Artifacts, square: Pixels) -> None:
    said = GOLDEN["label"]
    zeros = np.zeros((3, *[min(len(square), 336)] * 2), np.float32)
    got = steps(graphs, ["attack-label-step"], said, face=square, perturbation=zeros, momentum_buffer=zeros)[-1][2]
    assert_near(got, said, square, said["epsilon"], said["steps"])
    (probabilities,) = graphs.recognizer.run(["probabilities"], {"face": got})
    assert (probabilities[said["label"]] > 0.5) == (said["probability"] > 0.5)


def test_pasting(photo: Pixels) -> None:
    pasted = photo.copy()
    paste_square(pasted, picture(GOLDEN["cloak"]["after"][-1]), GOLDEN["square"]["corner"])
    assert digest(pasted) == GOLDEN["pasted"]["sha256"]


@pytest.mark.parametrize("file", GOLDEN["jpeg"]["files"], ids=lambda file: file["file"])
def test_jpeg(photo: Pixels, file: dict[str, Any]) -> None:
    said = GOLDEN["jpeg"]
    x0, y0, x1, y1 = said["part"]
    want = (FOLDER / file["file"]).read_bytes()
    part = np.ascontiguousarray(photo[y0:y1, x0:x1])
    if file["optimized"]:  # as this runtime writes them, with the tables of the file that it read
        assert read_photo(want).encode(part) == want
        return
    buffer = io.BytesIO()
    Image.fromarray(part).save(buffer, "JPEG", subsampling=0, qtables=said["tables"])
    assert buffer.getvalue() == want

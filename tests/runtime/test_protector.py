import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage.metrics import structural_similarity

from face_encryption.runtime import ArtifactsError, Face, NoFaceError, ProtectedPhoto, Protector, SettingError, Settings
from face_encryption.runtime import protector as protector_module
from face_encryption.runtime.artifacts import Artifacts
from face_encryption.runtime.comparison import Subject
from face_encryption.runtime.detection import Detection
from face_encryption.runtime.faces import cut_square, square_around
from face_encryption.runtime.part import Part
from face_encryption.runtime.photo import read_photo
from face_encryption.runtime.report import result_json, result_line
from face_encryption.runtime.results import FaceResult, Recognition
from face_encryption.runtime.settings import CloakPlan

from .graphs import OTHER, OWN, artifacts_folder
from .photos import encoded

Pixels = NDArray[np.uint8]
Light = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@pytest.fixture(scope="module")
def protector(artifacts: Path) -> Protector:
    return Protector(artifacts, threads=1)


def bound(protected: ProtectedPhoto) -> float:
    """No pixel may change by more, in levels, of any face."""
    return max(result.plan.bound for result in protected.faces if result.plan)


@pytest.fixture(scope="module")
def photo(astronaut: Pixels) -> bytes:
    return encoded(Image.fromarray(astronaut), "PNG")


def decoded(data: bytes) -> Pixels:
    return read_photo(data).pixels


def changed(before: Pixels, after: Pixels) -> NDArray[np.int16]:
    return np.abs(after.astype(np.int16) - before.astype(np.int16))


def turned(image: Pixels, degrees: float) -> Pixels:
    return np.asarray(Image.fromarray(image).rotate(degrees, Image.Resampling.BICUBIC))


def ellipse(protector: Protector, face: Face, shape: tuple[int, ...], upright: bool = False) -> NDArray[np.bool_]:
    """What a cloak may change, bool [H, W], and a cell of the steps' grid around it; tilted as the face, or not."""
    (x, y), side = square_around(face.box, protector.artifacts.manifest.recognizer.crop_margin)
    right_eye, left_eye, _, mouth = face.keypoints[:4]
    down = np.array([0, 1]) if upright else mouth - (right_eye + left_eye) / 2
    down = down / np.linalg.norm(down)
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    from_middle = np.stack([columns - x, rows - y]) / side - 0.5
    along = np.tensordot(down, from_middle, 1)
    across = np.tensordot([down[1], -down[0]], from_middle, 1)
    inside: NDArray[np.bool_] = np.hypot(across / 0.43, along / 0.5) <= 1
    return inside


def test_face_is_no_longer_matched(protector: Protector, photo: bytes) -> None:
    protected = protector.protect(photo)
    (result,) = protected.faces
    assert not result.matched
    assert result.similarity < result.threshold
    assert (result.before, result.after) == (None, None)  # a cloak needs nobody's name
    assert result.number == 1
    assert 0 < result.change <= bound(protected)
    assert 30 < result.psnr < math.inf
    assert protected.notes == ("faces found: 1",)


def test_a_larger_budget_protects_more(protector: Protector, photo: bytes) -> None:
    chosen = [Settings(strength=name) for name in ("low", "medium", "high")]
    plans = [protector.plan(settings) for settings in chosen]
    budgets = [plan.budget for plan in plans if isinstance(plan, CloakPlan)]
    assert len(set(budgets)) == 3
    assert budgets == sorted(budgets)
    low, medium, high = (protector.protect(photo, settings).faces[0] for settings in chosen)
    assert low.similarity > medium.similarity > high.similarity
    assert low.psnr > medium.psnr > high.psnr


@pytest.mark.parametrize("budget", [0.01, 0.04])
def test_the_budget_bounds_what_is_seen(protector: Protector, photo: bytes, astronaut: Pixels, budget: float) -> None:
    protected = protector.protect(photo, Settings(budget=budget, clamp=255))
    margin = protector.artifacts.manifest.recognizer.crop_margin
    box = protected.faces[0].face.box
    before, after = (cut_square(image, box, margin)[0] for image in (astronaut, decoded(protected.data)))
    assert budget / 2 < 1 - structural_similarity(before, after, channel_axis=2) < budget


@pytest.mark.parametrize(
    ("light", "similarity"),
    [
        pytest.param(lambda levels: levels / 8, 0.25, id="dark"),
        pytest.param(lambda levels: levels * 2, 0.75, id="overexposed"),
    ],
)
def test_badly_lit_face(protector: Protector, astronaut: Pixels, light: Light, similarity: float) -> None:
    image = light(astronaut.astype(np.float32)).clip(0, 255).astype(np.uint8)
    protected = protector.protect(encoded(Image.fromarray(image), "PNG"))
    assert protected.faces[0].similarity < similarity
    assert 0 < changed(image, decoded(protected.data)).max() <= bound(protected)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_protection_survives_lossy_formats(protector: Protector, astronaut: Pixels, kind: str) -> None:
    protected = protector.protect(encoded(Image.fromarray(astronaut), kind, quality=90), Settings(strength="high"))
    assert not protected.faces[0].matched
    assert Image.open(io.BytesIO(protected.data)).format == kind


def test_what_is_reported_is_what_the_file_holds(protector: Protector, photo: bytes, astronaut: Pixels) -> None:
    protected = protector.protect(photo)
    (result,) = protected.faces
    saved = decoded(protected.data)
    margin = protector.artifacts.manifest.recognizer.crop_margin
    before = protector.recognize(cut_square(astronaut, result.face.box, margin)[0])
    after = protector.recognize(cut_square(saved, result.face.box, margin)[0])
    # The recognizer is in floats, and what the cloak is measured by in bytes.
    assert result.similarity == pytest.approx(float(before.embedding @ after.embedding), abs=0.03)
    assert result.change == changed(astronaut, saved).max()


@pytest.mark.parametrize("degrees", [0, 30, -30])
def test_pixels_outside_the_ellipse_never_change(protector: Protector, astronaut: Pixels, degrees: float) -> None:
    image = turned(astronaut, degrees)
    # The largest change of all shows where the ellipse ends.
    protected = protector.protect(encoded(Image.fromarray(image), "PNG"), Settings(budget=1, clamp=255, steps=1))
    face = protected.faces[0].face
    difference = changed(image, decoded(protected.data)).max(axis=2) > 0
    inside = ellipse(protector, face, image.shape)
    assert not difference[~inside].any()
    assert difference[inside].mean() > 0.8
    if degrees:  # and the ellipse is tilted as the face is
        assert difference[~ellipse(protector, face, image.shape, upright=True)].any()


def test_pixels_outside_the_square_never_change(protector: Protector, photo: bytes, astronaut: Pixels) -> None:
    protected = protector.protect(photo, Settings(away=True))
    margin = protector.artifacts.manifest.recognizer.crop_margin
    square, (x, y) = cut_square(astronaut, protected.faces[0].face.box, margin)
    difference = changed(astronaut, decoded(protected.data))
    difference[y : y + len(square), x : x + len(square)] = 0
    assert not difference.any()


@pytest.mark.parametrize(
    "setting",
    [
        {"strength": "low"},
        {"clamp": 1},
        {"clamp": 2.7},
        {"clamp": 2.7, "budget": 1},
        {"away": True, "strength": "low"},
        {"away": True, "epsilon": 1},
        {"away": True, "epsilon": 2.7},
        {"away": True, "epsilon": 255},
    ],
)
def test_no_pixel_changes_by_more_than_allowed(
    protector: Protector, photo: bytes, astronaut: Pixels, setting: dict[str, Any]
) -> None:
    protected = protector.protect(photo, Settings(steps=1, **setting))
    assert 0 < changed(astronaut, decoded(protected.data)).max() <= math.floor(bound(protected))


@pytest.mark.parametrize("away", [False, True])
def test_threads_do_not_change_the_result(artifacts: Path, photo: bytes, away: bool) -> None:
    one, two = (Protector(artifacts, threads).protect(photo, Settings(away=away)).data for threads in (1, 2))
    assert one == two


def test_the_seed_decides(protector: Protector, photo: bytes) -> None:
    first, again, other = (protector.protect(photo, Settings(steps=1, seed=seed)).data for seed in (1, 1, 2))
    assert first == again != other


def test_away_from_the_identity_that_is_seen(protector: Protector, photo: bytes) -> None:
    cloaked, away = (protector.protect(photo, Settings(strength="high", away=away)).faces[0] for away in (False, True))
    assert away.before
    assert away.after
    assert away.after.name != away.before.name
    assert cloaked.similarity < away.similarity  # which is what the cloak aims at


def test_targeted(protector: Protector, photo: bytes) -> None:
    label = protector.classes[-1]
    result = protector.protect(photo, Settings(label=label, strength="high")).faces[0]
    assert result.after
    assert result.after.name == label


def test_gallery(protector: Protector, photo: bytes, astronaut: Pixels) -> None:
    darker = Image.fromarray(astronaut).transpose(Image.Transpose.FLIP_LEFT_RIGHT).point(lambda level: level * 0.6)
    gallery = protector.enroll(encoded(darker, "JPEG"))
    assert gallery.shape == (1, 704)
    alone, known = (protector.protect(photo, Settings(gallery=each)) for each in (None, gallery))
    assert (alone.faces[0].gallery, known.faces[0].gallery) == (0, 1)
    before, without, beside = (protector.enroll(each)[0, 192:] for each in (photo, alone.data, known.data))
    own = gallery[0, 192:]
    assert float(own @ beside) < float(own @ without) - 0.005
    # Enrolled anew the face lies a little elsewhere, for the detector's box does.
    assert known.faces[0].similarity == pytest.approx(float(max(before @ beside, own @ beside)), abs=0.04)


def test_faces_of_others_in_the_gallery_change_nothing(protector: Protector, photo: bytes) -> None:
    alone = protector.protect(photo, Settings(steps=1))
    stranger = -protector.enroll(photo)
    beside = protector.protect(photo, Settings(steps=1, gallery=stranger))
    assert beside.faces[0].gallery == 0
    assert beside.data == alone.data


def test_no_face_to_enroll(protector: Protector) -> None:
    with pytest.raises(NoFaceError):
        protector.enroll(encoded(Image.new("RGB", (64, 64)), "PNG"))


def test_each_face_has_its_own_seed(protector: Protector, photo: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    box = (178, 83, 273, 178)
    _faces_at(monkeypatch, protector, box, box)
    second = protector.protect(photo, Settings(steps=1, faces=(2,), seed=6)).data
    first, next_seed = (protector.protect(photo, Settings(steps=1, faces=(1,), seed=seed)).data for seed in (6, 7))
    assert second == next_seed != first


def test_grey_photo_stays_grey(protector: Protector, astronaut: Pixels) -> None:
    picture = Image.fromarray(astronaut).convert("L")
    for image in (picture, picture.convert("RGB")):
        protected = protector.protect(encoded(image, "PNG"))
        after = decoded(protected.data)
        assert Image.open(io.BytesIO(protected.data)).mode == image.mode
        assert np.ptp(after, axis=2).max() == 0
        assert 0 < changed(np.asarray(image.convert("RGB")), after).max() <= bound(protected)
        assert not protected.faces[0].matched


def test_transparency_is_untouched(protector: Protector, astronaut: Pixels) -> None:
    alpha = np.arange(512 * 512, dtype=np.uint8).reshape(512, 512)
    protected = protector.protect(encoded(Image.fromarray(np.dstack([astronaut, alpha])), "PNG"))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(protected.data)))[..., 3], alpha)


@pytest.mark.parametrize("edge", ["left", "top"])
def test_face_at_the_border(protector: Protector, astronaut: Pixels, edge: str) -> None:
    part = astronaut[:, 195:] if edge == "left" else astronaut[100:]
    protected = protector.protect(encoded(Image.fromarray(part), "PNG"))
    x0, y0, _, _ = protected.faces[0].face.box
    assert min(x0, y0) < 10
    assert decoded(protected.data).shape == part.shape
    assert 0 < changed(part, decoded(protected.data)).max() <= bound(protected)


def _faces_at(monkeypatch: pytest.MonkeyPatch, protector: Protector, *boxes: tuple[float, float, float, float]) -> None:
    faces = [Face(box, 0.9, np.zeros((6, 2), np.float32)) for box in boxes]
    monkeypatch.setattr(protector, "look", lambda image, *_: Detection(faces, [], image.shape))


@pytest.mark.parametrize("setting", [{"clamp": 4, "budget": 1}, {"away": True, "epsilon": 4}])
def test_overlapping_squares_stay_within_the_bound(
    protector: Protector,
    photo: bytes,
    astronaut: Pixels,
    monkeypatch: pytest.MonkeyPatch,
    setting: dict[str, Any],
) -> None:
    _faces_at(monkeypatch, protector, (178, 83, 273, 178), (190, 90, 285, 185), (170, 70, 265, 165))
    protected = protector.protect(photo, Settings(steps=1, **setting))
    assert [result.number for result in protected.faces] == [1, 2, 3]
    assert changed(astronaut, decoded(protected.data)).max() == 4


def test_chosen_faces_alone_change(
    protector: Protector, photo: bytes, astronaut: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    _faces_at(monkeypatch, protector, (178, 83, 273, 178), (30, 300, 90, 360), (400, 400, 460, 460))
    protected = protector.protect(photo, Settings(steps=1, faces=(3, 1, 3)))
    assert [result.number for result in protected.faces] == [1, 3]
    difference = changed(astronaut, decoded(protected.data))
    assert difference[83:178, 178:273].any()
    assert difference[400:460, 400:460].any()
    assert not difference[300:360, 30:90].any()


def test_large_face(protector: Protector, astronaut: Pixels) -> None:
    large = np.asarray(Image.fromarray(astronaut[60:220, 140:310]).resize((1360, 1280), Image.Resampling.BICUBIC))
    protected = protector.protect(encoded(Image.fromarray(large), "PNG"), Settings(steps=1))
    x0, _, x1, _ = protected.faces[0].face.box
    assert x1 - x0 > 500
    assert 0 < changed(large, decoded(protected.data)).max() <= bound(protected)


def test_faces_are_numbered_from_left_to_right(protector: Protector, astronaut: Pixels) -> None:
    face = astronaut[20:276, 100:356]
    faces = protector.detect(np.hstack([face, face[:, ::-1]]))
    assert len(faces) == 2
    assert faces[0].box[0] < faces[1].box[0]


def test_face_number_that_does_not_exist(protector: Protector, photo: bytes) -> None:
    with pytest.raises(SettingError, match="there is no face 2; the photo has 1"):
        protector.protect(photo, Settings(faces=(1, 2)))


def test_no_face(protector: Protector) -> None:
    with pytest.raises(NoFaceError, match="no face found"):
        protector.protect(encoded(Image.new("RGB", (100, 100), "blue"), "PNG"))


@pytest.mark.parametrize(("label", "hint"), [("Grac", 'did you mean "Grace"'), ("Zoltan", "inspect --json")])
def test_unknown_label(tmp_path: Path, label: str, hint: str) -> None:
    with pytest.raises(SettingError, match=f'no label "{label}" among 2; .*{hint}'):
        Protector(artifacts_folder(tmp_path)).check(Settings(label=label))


def test_the_artifacts_say_what_counts_as_a_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def none_found(detector: object, image: Pixels, min_score: float, unsure: float, *_: object) -> Detection:
        asked.extend((min_score, unsure))
        return Detection([], [], image.shape)

    monkeypatch.setattr(protector_module, "find_faces", none_found)
    graphs = {"detector": {"file": "detector.onnx", "kind": "detector"}}
    made = Protector(artifacts_folder(tmp_path, graphs=graphs, detector={"score": 0.6, "unsure": 0.3}))
    made.look(np.zeros((9, 9, 3), np.uint8))
    made.look(np.zeros((9, 9, 3), np.uint8), 0.2)
    assert asked == [0.6, 0.3, 0.2, 0.3]


def test_a_cloak_needs_its_reference(tmp_path: Path) -> None:
    (artifacts_folder(tmp_path) / "cloak-reference.onnx").unlink()
    with pytest.raises(ArtifactsError, match=r"cloak-reference\.onnx: no such file"):
        Protector(tmp_path).check(Settings())
    Protector(tmp_path).check(Settings(away=True))  # a label needs no more


@pytest.mark.parametrize("similarities", [(0.5, 0.3), (0.3, 0.5), (0.5, 0.5), (0.3, 0.3)])
def test_a_match_by_any_recognizer_is_a_match(tmp_path: Path, similarities: tuple[float, ...]) -> None:
    """Of two answers, the other's and ours, one suffices."""
    recognizers = Artifacts(artifacts_folder(tmp_path, surrogates=[OTHER, OWN])).manifest.surrogates
    before, after = (_embeddings(similarity) for similarity in ((1, 1), similarities))
    square = np.zeros((16, 16, 3), np.uint8)
    face = Face((0, 0, 16, 16), 1, np.zeros((6, 2), np.float32))
    part = Part(1, face, (0, 0), square, (slice(0, 16), slice(0, 16)))
    recognition = _recognition(before[1])
    subject = Subject(part, recognition, recognizers, np.concatenate(before), np.zeros((0, 704), np.float32))
    other, own = results = subject.compare(np.concatenate(after))
    assert [each.name for each in results] == ["other", "recognizer"]
    assert [each.similarity for each in results] == pytest.approx(similarities)
    assert [each.threshold for each in results] == [0.4, 0.35]
    result = FaceResult(
        1, face, recognition, _recognition(after[1]), own.similarity, own.threshold, (other,), 0, None, 1, 40.0, 0.1
    )
    assert result.matched == (max(similarities) == 0.5)
    line = result_line("a.png", result)
    assert ("STILL A MATCH" in line) == result.matched
    assert f"similarity {own.similarity:.2f}, threshold 0.35; by other {other.similarity:.2f}, threshold" in line
    assert [each["matched"] for each in result_json(result)["surrogates"]] == [other.matched]


def _embeddings(similarities: tuple[float, ...]) -> list[NDArray[np.float32]]:
    """The other's and ours, each of this similarity to the first axis."""
    made = []
    for length, similarity in zip((192, 512), similarities, strict=True):
        made.append(np.zeros(length, np.float32))
        made[-1][:2] = similarity, math.sqrt(1 - similarity**2)
    return made


def _recognition(embedding: NDArray[np.float32]) -> Recognition:
    return Recognition(embedding, np.full(2, 0.5, np.float32), "Ada", 0.5)

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from face_encryption.runtime import ArtifactsError, Face, NoFaceError, Protector, SettingError, Settings
from face_encryption.runtime.artifacts import embeddings
from face_encryption.runtime.faces import cut_square
from face_encryption.runtime.photo import read_photo

from .graphs import ATTACK, artifacts_folder
from .photos import encoded

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def protector(artifacts: Path) -> Protector:
    return Protector(artifacts, threads=1)


@pytest.fixture(scope="module")
def photo(astronaut: Pixels) -> bytes:
    return encoded(Image.fromarray(astronaut), "PNG")


def decoded(data: bytes) -> Pixels:
    return read_photo(data).pixels


def changed(before: Pixels, after: Pixels) -> NDArray[np.int16]:
    return np.abs(after.astype(np.int16) - before.astype(np.int16))


def test_face_is_no_longer_matched(protector: Protector, photo: bytes, astronaut: Pixels) -> None:
    protected = protector.protect(photo, Settings(strength="high"))
    (result,) = protected.faces
    assert not result.matched
    assert result.similarity < result.threshold
    assert result.after.probability < result.before.probability or result.after.name != result.before.name
    assert result.number == 1
    assert 0 < result.change <= protected.plan.epsilon
    assert 25 < result.psnr < math.inf
    assert protected.notes == ()


def test_a_larger_budget_protects_more(protector: Protector, photo: bytes) -> None:
    results = [protector.protect(photo, Settings(strength=name)).faces[0] for name in ("low", "medium", "high")]
    low, medium, high = (result.similarity for result in results)
    assert low > medium > high
    assert all(result.after.name != result.before.name for result in results)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_protection_survives_lossy_formats(protector: Protector, astronaut: Pixels, kind: str) -> None:
    protected = protector.protect(encoded(Image.fromarray(astronaut), kind, quality=90), Settings(strength="high"))
    assert not protected.faces[0].matched
    assert Image.open(io.BytesIO(protected.data)).format == kind


def test_what_is_reported_is_what_the_file_holds(protector: Protector, photo: bytes, astronaut: Pixels) -> None:
    protected = protector.protect(photo)
    (result,) = protected.faces
    saved = decoded(protected.data)
    margin = float(protector.artifacts.recognizer.text("crop_margin"))
    before = protector.recognise(cut_square(astronaut, result.face.box, margin)[0])
    after = protector.recognise(cut_square(saved, result.face.box, margin)[0])
    assert result.similarity == pytest.approx(float(before.embedding @ after.embedding), abs=1e-5)
    assert result.after.name == after.name
    assert result.after.probability == pytest.approx(after.probability, abs=1e-5)
    assert result.change == changed(astronaut, saved).max()


def test_pixels_outside_the_square_never_change(protector: Protector, photo: bytes, astronaut: Pixels) -> None:
    protected = protector.protect(photo)
    margin = float(protector.artifacts.recognizer.text("crop_margin"))
    square, (x, y) = cut_square(astronaut, protected.faces[0].face.box, margin)
    difference = changed(astronaut, decoded(protected.data))
    difference[y : y + len(square), x : x + len(square)] = 0
    assert not difference.any()


@pytest.mark.parametrize("setting", [{"strength": "low"}, {"epsilon": 1}, {"epsilon": 2.7}, {"epsilon": 255}])
def test_no_pixel_changes_by_more_than_epsilon(
    protector: Protector, photo: bytes, astronaut: Pixels, setting: dict[str, Any]
) -> None:
    protected = protector.protect(photo, Settings(steps=1, **setting))
    assert 0 < changed(astronaut, decoded(protected.data)).max() <= math.floor(protected.plan.epsilon)


def test_the_seed_decides(protector: Protector, photo: bytes) -> None:
    first, again, other = (protector.protect(photo, Settings(steps=1, seed=seed)).data for seed in (1, 1, 2))
    assert first == again != other


def test_away_from_the_identity_that_is_seen(protector: Protector, photo: bytes) -> None:
    cloaked, away = (protector.protect(photo, Settings(strength="high", away=away)).faces[0] for away in (False, True))
    assert away.after.name != away.before.name
    assert cloaked.similarity < away.similarity  # which is what the cloak aims at


def test_targeted(protector: Protector, photo: bytes) -> None:
    label = protector.classes[-1]
    result = protector.protect(photo, Settings(label=label, strength="high")).faces[0]
    assert result.after.name == label


def test_towards_a_decoy(protector: Protector, photo: bytes) -> None:
    result = protector.protect(photo, Settings(decoy=2)).faces[0]
    decoy = protector.artifacts.attack("feature").value("decoys", embeddings)[1]
    assert result.decoy == 2
    assert result.decoy_similarity is not None
    assert result.decoy_similarity == pytest.approx(float(decoy @ result.after.embedding), abs=1e-5)
    # Not every face becomes a match of its decoy: it also moves away from itself.
    assert result.decoy_similarity > float(decoy @ result.before.embedding) + 0.15
    assert not result.matched


def test_gallery(protector: Protector, photo: bytes, astronaut: Pixels) -> None:
    darker = Image.fromarray(astronaut).transpose(Image.Transpose.FLIP_LEFT_RIGHT).point(lambda level: level * 0.6)
    gallery = protector.enroll(encoded(darker, "JPEG"))
    assert gallery.shape == (1, 512)
    alone, known = (protector.protect(photo, Settings(gallery=each)).faces[0] for each in (None, gallery))
    assert (alone.gallery, known.gallery) == (0, 1)
    assert float(gallery[0] @ known.after.embedding) < float(gallery[0] @ alone.after.embedding) - 0.05
    both = np.stack([known.before.embedding, gallery[0]])
    assert known.similarity == pytest.approx(float((both @ known.after.embedding).max()), abs=1e-5)


def test_faces_of_others_in_the_gallery_change_nothing(protector: Protector, photo: bytes) -> None:
    alone = protector.protect(photo, Settings(steps=1))
    stranger = -alone.faces[0].before.embedding[None]
    beside = protector.protect(photo, Settings(steps=1, gallery=stranger))
    assert beside.faces[0].gallery == 0
    assert beside.data == alone.data


def test_no_face_to_enroll(protector: Protector) -> None:
    with pytest.raises(NoFaceError):
        protector.enroll(encoded(Image.new("RGB", (64, 64)), "PNG"))


def test_two_faces_become_different_decoys(protector: Protector, photo: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    _faces_at(monkeypatch, protector, (178, 83, 273, 178), (400, 400, 460, 460))
    for seed in (0, 7):
        first, second = protector.protect(photo, Settings(steps=1, decoy="any", seed=seed)).faces
        assert first.decoy != second.decoy


def test_grey_photo_stays_grey(protector: Protector, astronaut: Pixels) -> None:
    picture = Image.fromarray(astronaut).convert("L")
    for image in (picture, picture.convert("RGB")):
        protected = protector.protect(encoded(image, "PNG"))
        after = decoded(protected.data)
        assert Image.open(io.BytesIO(protected.data)).mode == image.mode
        assert np.ptp(after, axis=2).max() == 0
        assert 0 < changed(np.asarray(image.convert("RGB")), after).max() <= protected.plan.epsilon


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
    assert 0 < changed(part, decoded(protected.data)).max() <= protected.plan.epsilon


def _faces_at(monkeypatch: pytest.MonkeyPatch, protector: Protector, *boxes: tuple[float, float, float, float]) -> None:
    faces = [Face(box, 0.9, np.zeros((6, 2), np.float32)) for box in boxes]
    monkeypatch.setattr(protector, "detect", lambda _: faces)


def test_overlapping_squares_stay_within_epsilon(
    protector: Protector, photo: bytes, astronaut: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    _faces_at(monkeypatch, protector, (178, 83, 273, 178), (190, 90, 285, 185), (170, 70, 265, 165))
    protected = protector.protect(photo, Settings(steps=1, epsilon=4))
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
    assert 0 < changed(large, decoded(protected.data)).max() <= protected.plan.epsilon


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


@pytest.mark.parametrize(
    "setting", [{"label": "Ada", "away": True}, {"label": "Ada", "decoy": 1}, {"decoy": "any", "away": True}]
)
def test_targets_exclude_each_other(setting: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="choose one"):
        Settings(**setting)


@pytest.mark.parametrize(("label", "hint"), [("Grac", 'did you mean "Grace"'), ("Zoltan", "inspect --json")])
def test_unknown_label(tmp_path: Path, label: str, hint: str) -> None:
    with pytest.raises(SettingError, match=f'no label "{label}" among 2; .*{hint}'):
        Protector(artifacts_folder(tmp_path)).check(Settings(label=label))


def test_folder_without_decoys_cloaks_and_names_what_it_lacks(tmp_path: Path) -> None:
    attack = {name: value for name, value in ATTACK.items() if name != "decoys"}
    protector = Protector(artifacts_folder(tmp_path, attack=attack))
    assert protector.plan(Settings()).steps == 2
    with pytest.raises(ArtifactsError, match=r"attack-feature\.onnx: the metadata lacks face_encryption\.decoys"):
        protector.check(Settings(decoy="any"))


def test_artifacts_without_decoys_say_so(tmp_path: Path) -> None:
    protector = Protector(artifacts_folder(tmp_path, attack=ATTACK | {"decoys": "[]"}))
    with pytest.raises(SettingError, match="these artifacts have no decoys"):
        protector.check(Settings(decoy="any"))


@pytest.mark.parametrize("text", ["[0.6, 0.8]", "[[0.6, 0.8], [1]]", "{}", "none"])
def test_unreadable_decoys(tmp_path: Path, text: str) -> None:
    with pytest.raises(ArtifactsError, match=r"the metadata face_encryption\.decoys cannot be read"):
        Protector(artifacts_folder(tmp_path, attack=ATTACK | {"decoys": text})).check(Settings(decoy="any"))


def test_missing_key_of_the_attack_is_named(tmp_path: Path) -> None:
    attack = {name: value for name, value in ATTACK.items() if name != "defaults"}
    with pytest.raises(ArtifactsError, match=r"attack-feature\.onnx: the metadata lacks face_encryption\.defaults"):
        Protector(artifacts_folder(tmp_path, attack=attack)).check(Settings())

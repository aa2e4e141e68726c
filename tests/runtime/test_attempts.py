"""What happens while a face is still a match: more steps, then the following rungs of the strength, and no more."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage.metrics import structural_similarity

from face_encryption.runtime import FaceResult, NoFaceError, PhotoError, Protector, Settings
from face_encryption.runtime.attack import CloakAttack, LabelAttack
from face_encryption.runtime.faces import cut_square
from face_encryption.runtime.photo import read_photo
from face_encryption.runtime.settings import CloakPlan

from .photos import encoded

Pixels = NDArray[np.uint8]
# From hardly anything to more than is needed, with steps that make a difference, and two rungs that never are enough.
LADDER = [{"budget": budget, "clamp": clamp} for budget, clamp in ((0.002, 8), (0.02, 12), (0.06, 24), (0.1, 32))]
WEAK = [{"budget": 0.002, "clamp": 3}, {"budget": 0.004, "clamp": 5.5}]
# So far below each threshold an attempt has to come.
MARGIN = 0.05
DEFAULTS = {
    "turns": [0, 0, 1],
    "strength": {"low": WEAK, "medium": LADDER, "high": LADDER[-1:]},
    "effort": {"fast": {"steps": 2}, "normal": {"steps": 4}, "thorough": {"steps": 8}},
}


@pytest.fixture(scope="module")
def protector(artifacts: Path, tmp_path_factory: pytest.TempPathFactory) -> Protector:
    """The exported graphs with these strengths and efforts."""
    folder = tmp_path_factory.mktemp("ladder")
    for file in artifacts.iterdir():
        shutil.copy(file, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    changes = {"cloak": DEFAULTS, "match": {"far": "0.01", "margin": MARGIN}}
    (folder / "manifest.json").write_text(json.dumps(manifest | changes))
    return Protector(folder, threads=1)


@pytest.fixture(scope="module")
def photo(astronaut: Pixels) -> bytes:
    return encoded(Image.fromarray(astronaut), "PNG")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often recognizers and an attack are run from now on."""
    counts: Counter[str] = Counter()

    def counted(owner: Any, name: str) -> None:
        function = getattr(owner, name)

        def call(*arguments: Any) -> Any:
            counts[name] += 1
            return function(*arguments)

        monkeypatch.setattr(owner, name, call)

    counted(Protector, "recognize")
    counted(Protector, "_embed")
    counted(CloakAttack, "__call__")
    counted(LabelAttack, "__call__")
    return counts


def attempts(protector: Protector, photo: bytes, *numbers: tuple[dict[str, float], int], seed: int = 0) -> list[bytes]:
    """The photo after each attempt alone."""
    given = [Settings(**rung, steps=steps, seed=seed) for rung, steps in numbers]  # type: ignore[arg-type]
    return [protector.protect(photo, settings).data for settings in given]


def similarities_of(face: FaceResult) -> list[tuple[float, float]]:
    """By each recognizer, and its threshold."""
    return [(face.similarity, face.threshold), *((each.similarity, each.threshold) for each in face.surrogates)]


def the_face(protector: Protector, photo: bytes, data: bytes) -> FaceResult:
    (face,) = protector.measure(photo, data)
    return face


@pytest.mark.parametrize("seed", [0, 5])
def test_it_stops_at_the_first_attempt_that_is_no_match(protector: Protector, photo: bytes, seed: int) -> None:
    order = [(LADDER[0], 4), *((rung, 8) for rung in LADDER)]
    made = attempts(protector, photo, *order, seed=seed)
    faces = [the_face(protector, photo, data) for data in made]
    similarities = [each.similarity for each in faces]
    assert similarities[1:] == sorted(similarities[1:], reverse=True)
    protected, again = (protector.protect(photo, Settings(seed=seed)) for _ in range(2))
    assert protected.data == again.data
    (face,) = protected.faces
    first = next(
        number
        for number, tried in enumerate(faces)
        if all(each < threshold - MARGIN for each, threshold in similarities_of(tried))
    )
    assert 0 < first < len(order) - 1
    assert face.similarity < similarities[0] - 0.3
    assert protected.data == made[first]
    rung, steps = order[first]
    assert face.plan == CloakPlan(rung["budget"], rung["clamp"], steps)
    assert not face.matched


def test_of_attempts_that_do_not_help_the_best_is_kept(protector: Protector, photo: bytes) -> None:
    made = attempts(protector, photo, (WEAK[0], 2), (WEAK[0], 8), (WEAK[1], 8))
    best = min(made, key=lambda data: the_face(protector, photo, data).similarity)
    protected = protector.protect(photo, Settings(strength="low", effort="fast"))
    assert protected.faces[0].matched
    assert protected.data == best
    assert protected.faces[0].similarity < the_face(protector, photo, made[0]).similarity


@pytest.mark.parametrize(
    ("setting", "last"),
    [
        ({"strength": "low"}, WEAK[-1]),
        ({"strength": "low", "steps": 3}, WEAK[-1]),
        ({"strength": "medium"}, LADDER[-1]),
        ({"budget": 0.003}, LADDER[0] | {"budget": 0.003}),
        ({"clamp": 2.5}, LADDER[0] | {"clamp": 2.5}),
    ],
)
def test_never_beyond_the_last_rung(
    protector: Protector, photo: bytes, astronaut: Pixels, setting: dict[str, Any], last: dict[str, float]
) -> None:
    protected = protector.protect(photo, Settings(**setting))
    (face,) = protected.faces
    margin = protector.artifacts.manifest.recognizer.crop_margin
    pixels = read_photo(protected.data).pixels
    before, after = (cut_square(image, face.face.box, margin)[0] for image in (astronaut, pixels))
    assert 0 < 1 - structural_similarity(before, after, channel_axis=2) < last["budget"]
    assert 0 < np.abs(pixels.astype(int) - astronaut).max() <= int(last["clamp"])
    assert isinstance(face.plan, CloakPlan)
    assert face.plan.budget <= last["budget"]
    assert face.plan.clamp <= last["clamp"]
    assert face.plan.steps <= setting.get("steps", 8)


def test_an_attempt_that_succeeds_costs_one_more_look(protector: Protector, photo: bytes, calls: Counter[str]) -> None:
    assert not protector.protect(photo, Settings(strength="high")).faces[0].matched
    assert calls == {"_embed": 3, "__call__": 1}


@pytest.mark.parametrize(
    ("setting", "looks"),
    [({"away": True, "epsilon": 1}, {"recognize": 2}), ({"budget": 1e-4, "clamp": 8, "steps": 1}, {"_embed": 2})],
)
def test_one_attempt_is_not_looked_at(
    protector: Protector, photo: bytes, calls: Counter[str], setting: dict[str, Any], looks: dict[str, int]
) -> None:
    assert protector.protect(photo, Settings(**setting)).faces[0].matched
    assert calls == {"__call__": 1} | looks


def test_a_match_of_the_gallery_is_a_match(protector: Protector, photo: bytes, calls: Counter[str]) -> None:
    protected = protector.protect(photo)
    (alone,) = protected.faces
    assert not alone.matched
    # Between the face as it was and as it became: nearer to what a cloak makes of it than the face itself.
    between = protector.enroll(photo)[0] + protector.enroll(protected.data)[0]
    parts = [each / np.linalg.norm(each) for each in np.split(between, [-512])]
    gallery, own = np.concatenate(parts)[None], parts[1]
    assert own @ protector.enroll(protected.data)[0, -512:] > alone.threshold
    calls.clear()
    beside = protector.protect(photo, Settings(gallery=gallery))
    (known,) = beside.faces
    assert known.gallery == 1
    assert known.similarity >= float(own @ protector.enroll(beside.data)[0, -512:]) - 0.02
    assert calls["__call__"] > 1
    assert known.plan != CloakPlan(LADDER[0]["budget"], LADDER[0]["clamp"], 4)


def test_each_face_has_its_own_attempts(protector: Protector, astronaut: Pixels) -> None:
    face = astronaut[20:276, 100:356]
    blurred = np.asarray(Image.fromarray(face).resize((40, 40)).resize((256, 256)))
    protected = protector.protect(encoded(Image.fromarray(np.hstack([face, blurred])), "PNG"))
    plans = [result.plan for result in protected.faces]
    assert len(plans) == 2
    assert plans[0] != plans[1]


def test_measuring_again_needs_no_attack(artifacts: Path, tmp_path: Path, protector: Protector, photo: bytes) -> None:
    protected = protector.protect(photo, Settings(strength="low"))
    for name in ("manifest.json", "detector.onnx", "recognizer.onnx", "cloak-reference.onnx", "weights.bin"):
        shutil.copy(artifacts / name, tmp_path)
    (again,) = Protector(tmp_path, threads=1).measure(photo, protected.data)
    (face,) = protected.faces
    for name in ("number", "face", "similarity", "threshold", "gallery", "change", "psnr", "matched"):
        assert getattr(again, name) == getattr(face, name)
    assert again.plan is None


def test_measuring_what_is_no_copy(protector: Protector, photo: bytes, astronaut: Pixels) -> None:
    assert the_face(protector, photo, photo).similarity == pytest.approx(1)
    with pytest.raises(PhotoError, match="the copy is not of the photo's size"):
        protector.measure(photo, encoded(Image.fromarray(astronaut[1:]), "PNG"))
    with pytest.raises(PhotoError, match="the copy: not an image"):
        protector.measure(photo, b"mine")
    with pytest.raises(PhotoError, match="not an image"):
        protector.measure(b"mine", photo)
    blue = encoded(Image.new("RGB", (99, 99), "blue"), "PNG")
    with pytest.raises(NoFaceError):
        protector.measure(blue, blue)

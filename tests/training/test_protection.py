"""Protection is counted right, and the command measures real photos with a recogniser of others."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray
from torchvision.models import SqueezeNet1_1_Weights, squeezenet1_1

from face_encryption.runtime import Protector
from face_encryption.runtime.faces import Face
from face_encryption.training.cli import evaluate as command
from face_encryption.training.data import DataError, Photo, read_pairs
from face_encryption.training.lpips import LpipsError, load_lpips
from face_encryption.training.protection import Probe, Seen, enroll_all, judge, publish, table

FACE = Face((0, 0, 1, 1), 0.9, np.zeros((6, 2), np.float32))


def picture(angle: float, face: bool = True) -> Seen:
    """A picture of which the recogniser below sees only an angle."""
    return Seen(np.full((1, 1, 3), round(angle), np.uint8), FACE if face else None)


def embed(pixels: NDArray[np.uint8], face: Face) -> NDArray[np.float32]:
    angle = np.radians(float(pixels[0, 0, 0]))
    return np.array([np.cos(angle), np.sin(angle)], np.float32)


def test_rates_of_known_similarities() -> None:
    """Ten people 20 degrees apart; of the protected, three moved by 100 degrees, one to a neighbour, one is hidden."""
    probes = []
    for number in range(10):
        angle = 20.0 * number
        saved = picture(angle + 1)
        if number < 3:
            saved = picture(angle + 100)
        elif number == 3:
            saved = picture(angle + 20)
        elif number == 4:
            saved = picture(angle, face=False)
        probes.append(Probe(str(number), picture(angle + 2), picture(angle), {"as saved": saved}, 1.0, 40.0, 8))
    found = {each.far: each for each in judge("judge", embed, probes)}
    first = found[0.01]
    assert np.cos(np.radians(20)) < first.threshold < np.cos(np.radians(17))
    assert first.clean == 0
    assert first.protected == pytest.approx(0.5)
    assert first.low <= 0.5 <= first.high
    assert first.hidden == pytest.approx(0.1)
    assert first.given_landmarks == pytest.approx(0.4)  # who knows where the face is sees number 4 as it was
    assert first.rank1_clean == 1
    assert first.rank1 == pytest.approx(0.5)
    assert first.strangers == pytest.approx(4 / 90)  # the neighbour, and the three who moved onto others
    assert "| judge | " in table([*found.values()])
    crowd = [picture(20.0 * number + 2) for number in range(10)]
    assert judge("judge", embed, probes, crowd)[0].rank1_clean == 0


def test_publishing_changes_the_pixels(astronaut: NDArray[np.uint8]) -> None:
    published = publish(astronaut)
    assert published["as saved"] is astronaut
    assert published["half size"].shape == (256, 256, 3)
    errors = [
        np.abs(published[name].astype(int) - astronaut).mean() for name in ("as saved", "JPEG 90", "JPEG 75", "JPEG 50")
    ]
    assert errors == sorted(errors)
    assert errors[1] > 0


def test_gallery_of_what_shows_a_face(data: Path, artifacts: Path) -> None:
    paths = ["ada/1.png", "ada/0-nobody.png", "ada/2.png", "bob/0-broken.jpg", "bob/1.png"]
    protector = Protector(artifacts)
    known = enroll_all(protector, data, [Photo(path, path[:3]) for path in paths])
    assert {name: len(faces) for name, faces in known.items()} == {"ada": 2, "bob": 1}
    assert (known["ada"][1] == protector.enroll((data / "ada" / "2.png").read_bytes())).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ada/0.png\n", "1: not two photos of one person"),
        ("ada/0.png ada/2.png\nada/0.png bob/2.png\n", "2: not two photos of one person"),
        ("ada/0.png ada/0.png\n", "1: not two photos of one person"),
        ("ada/0.png ada/2.png\n", "two people at least"),
        ("ada/0.png ada/2.png\nada/2.png ada/3.png\n", "one line"),
        ("ada/0.png ada/missing.png\n", "no photo ada/missing.png"),
        ("", "empty"),
    ],
)
def test_bad_lists_of_pairs(text: str, message: str, data: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        read_pairs(tmp_path / "pairs.txt", data)


@pytest.fixture
def squeezenet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where torchvision looks for SqueezeNet's weights, with random ones in that file."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    file = str(SqueezeNet1_1_Weights.IMAGENET1K_V1.url).rsplit("/", 1)[-1]
    path = tmp_path / "torch" / "hub" / "checkpoints" / file
    path.parent.mkdir(parents=True)
    torch.manual_seed(0)
    torch.save(squeezenet1_1().state_dict(), path)
    return path


def test_lpips_grows_with_the_change(squeezenet: Path, astronaut: NDArray[np.uint8]) -> None:
    distance, noise = load_lpips("squeeze"), np.random.default_rng(0).normal(0, 1, (128, 128, 3))
    face = astronaut[:128, 160:288]
    changed = [(face + level * noise).clip(0, 255).astype(np.uint8) for level in (4, 16)]
    assert distance(face, face) == 0
    assert 0 < distance(face, changed[0]) < distance(face, changed[1])


def test_lpips_never_unpickles(squeezenet: Path, tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "harm"),)

    torch.save({"harmful": Harmful()}, squeezenet)
    with pytest.raises(LpipsError, match="squeeze are not in"):
        load_lpips("squeeze")
    assert not (tmp_path / "harm").exists()


def test_command_measures_real_photos(
    data: Path, artifacts: Path, shared: Path, squeezenet: Path, tmp_path: Path
) -> None:
    (tmp_path / "pairs.txt").write_text("ada/0.png ada/3.png\nbob/0.png bob/3.png\n")
    given = ["protection", str(data), str(tmp_path / "pairs.txt"), "--artifacts", str(artifacts)]
    judges = ["--judges", str(shared / "models" / "sface.onnx")]
    curve = ["--epsilon", "2", "--epsilon", "8", "--steps", "2", "--lpips", "squeeze", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(command, [*given, *judges, *curve], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "| ours (white box) | " in result.output
    assert "| sface | " in result.output
    with (tmp_path / "out" / "protection.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["epsilon"] for row in rows} == {"2.0", "8.0"}
    looks = {float(row["epsilon"]): [float(row[name]) for name in ("ssim", "psnr", "change", "lpips")] for row in rows}
    assert [small > large for small, large in zip(looks[2], looks[8], strict=True)] == [True, True, False, False]
    assert f"LPIPS {looks[8][3]:.3f}" in result.output
    assert {row["published"] for row in rows} >= {"as saved", "JPEG 75", "half size"}
    assert all(float(row["clean"]) == 0 for row in rows if row["recognizer"] == "sface")
    for name in ("protection.png", "sheet.png"):
        assert (tmp_path / "out" / name).is_file()

    missing = CliRunner().invoke(command, [*given, "--judges", str(tmp_path / "pairs.txt")])
    assert missing.exit_code == 1
    assert "not an ONNX model" in missing.stderr

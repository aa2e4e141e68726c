"""Protection is counted right, and the command measures real photos with a recognizer of others."""

import csv
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

from face_encryption.runtime import Protector
from face_encryption.runtime.faces import Face
from face_encryption.training.cli import evaluate as command
from face_encryption.training.data.layouts import DataError, Photo, read_pairs
from face_encryption.training.evaluation.people import enroll_all, find_people
from face_encryption.training.evaluation.probes import (
    LANDMARKS_GIVEN,
    SAVED,
    detect_main_face,
    embed_surrogate,
    face_ellipses,
)
from face_encryption.training.evaluation.protection import evaluate
from face_encryption.training.evaluation.recompression import RECOMPRESSIONS, recompress
from face_encryption.training.evaluation.report import tabulate_rates


def embedding(angle: float) -> NDArray[np.float32]:
    return np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))], np.float32)


def test_rates_of_known_similarities() -> None:
    """Ten people 20 degrees apart; of the protected, three moved by 100 degrees, one to a neighbour, one is hidden."""
    angles = 20.0 * np.arange(10)
    moved = angles + np.array([100, 100, 100, 20, 0, 1, 1, 1, 1, 1])
    gallery, clean = (np.stack([embedding(angle + off) for angle in angles]) for off in (0, 2))
    landmarks_given = [embedding(angle) for angle in moved]
    saved = [None if number == 4 else each for number, each in enumerate(landmarks_given)]
    rates = evaluate("judge", clean, gallery, {SAVED: saved, LANDMARKS_GIVEN: landmarks_given})
    found = {each.recompression: each for each in rates if each.far == 0.01}
    first = found[SAVED]
    assert np.cos(np.radians(20)) < first.threshold < np.cos(np.radians(17))
    assert first.clean == 0
    assert first.protected == pytest.approx(0.5)
    assert first.low <= 0.5 <= first.high
    assert first.hidden == pytest.approx(0.1)
    assert found[LANDMARKS_GIVEN].protected == pytest.approx(0.4)  # who knows where the face is sees number 4 as it was
    assert found[LANDMARKS_GIVEN].hidden == 0
    assert first.rank1_clean == 1
    assert first.rank1 == pytest.approx(0.5)
    assert first.impostors == pytest.approx(4 / 90)  # the neighbour, and the three who moved onto others
    table = tabulate_rates(rates)
    assert "| judge | " in table
    assert "mean of the black boxes" not in table
    crowd = np.stack([embedding(angle + 2) for angle in angles])
    assert evaluate("judge", clean, gallery, {SAVED: saved}, crowd)[0].rank1_clean == 0


def test_a_gallery_with_the_very_photo_matches_more() -> None:
    """Two of ten probes moved away from their gallery photo, and one of these also from itself."""
    angles = 20.0 * np.arange(10)
    gallery, clean = (np.stack([embedding(angle + off) for angle in angles]) for off in (0, 8))
    saved = [embedding(angle + off) for angle, off in zip(angles, [16, 100, *[8] * 8], strict=True)]
    rates = evaluate("judge", clean, gallery, {SAVED: saved})[0]
    assert rates.protected == pytest.approx(0.2)
    assert rates.very_photo == pytest.approx(0.9)


def test_a_mean_of_black_boxes_leaves_the_white_box_out() -> None:
    angles = 20.0 * np.arange(10)
    clean = np.stack([embedding(angle) for angle in angles])
    here, away = ([embedding(angle + off) for angle in angles] for off in (0, 100))
    rates = [
        each
        for name, saved in (("ours (white box)", away), ("one", away), ("other", here))
        for each in evaluate(name, clean, clean, {SAVED: saved, LANDMARKS_GIVEN: saved})
    ]
    assert tabulate_rates(rates).splitlines()[-1].startswith("| mean of the black boxes |  | 0.0% | 50.0% | 50.0% |")


def test_recompressing_changes_the_pixels(astronaut: NDArray[np.uint8]) -> None:
    recompressed = {name: recompress(astronaut, name) for name in RECOMPRESSIONS}
    assert recompressed["half size"].shape == recompressed["half, JPEG 75"].shape == (256, 256, 3)
    errors = [np.abs(recompressed[f"JPEG {quality}"].astype(int) - astronaut).mean() for quality in (90, 75, 50)]
    assert 0 < errors[0] < errors[1] < errors[2]


def test_what_lies_in_the_ellipses_of_faces() -> None:
    upright = np.array([[-4, 6], [4, 6], [0, 10], [0, 14], [-8, 8], [8, 8]], np.float32)
    lying = upright[:, ::-1] * [1, -1] + [40, 30]
    faces = [Face((-10, 0, 10, 20), 1.0, upright), Face((40, 20, 60, 40), 1.0, lying.astype(np.float32))]
    inside = face_ellipses((60, 80, 3), faces, 0.1)
    assert inside[4:18, :7].all()
    assert not inside[:18, 12:].any()
    # Of the second, in a square from 38 to 62 and from 18 to 42, the long axis lies across.
    assert inside[18:42, 38:62].sum() == pytest.approx(np.pi * (0.43 * 24) * (0.5 * 24), rel=0.03)
    assert inside[30, 38]
    assert not inside[18, 50]


def test_people_without_a_face_are_left_out(data: Path, artifacts: Path) -> None:
    protector = Protector(artifacts)
    pairs = [("ada", "0", "1"), ("bob", "0", "1"), ("ada", "0-nobody", "2"), ("bob", "2", "3")]
    photos = [[Photo(f"{folder}/{name}.png", str(n)) for name in names] for n, (folder, *names) in enumerate(pairs)]
    recognizers = {"ours": embed_surrogate(protector)}
    people = find_people(protector, recognizers, data, [(probe, gallery) for probe, gallery in photos])
    assert people.left_out == ["2"]
    assert list(people.probes) == ["0", "1", "3"]
    for name, embeddings in (("0.png", people.clean["ours"]), ("1.png", people.gallery["ours"])):
        picture = detect_main_face(protector, np.asarray(Image.open(data / "bob" / name).convert("RGB")))
        assert picture.face
        np.testing.assert_array_equal(embeddings[1], recognizers["ours"](picture.pixels, picture.face))
    with pytest.raises(DataError, match="two people at least"):
        find_people(protector, recognizers, data, [(probe, gallery) for probe, gallery in photos[1:3]])


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


def test_command_measures_real_photos(data: Path, artifacts: Path, shared: Path, alexnet: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_text("ada/0.png ada/3.png\nbob/0.png bob/3.png\n")
    (tmp_path / "photos").mkdir()
    Image.open(data / "ada" / "0.png").resize((1500, 1500)).save(tmp_path / "photos" / "large.png")
    Image.open(data / "ada" / "0-nobody.png").save(tmp_path / "photos" / "nobody.png")
    out = tmp_path / "out"
    given = ["protection", str(data), str(tmp_path / "pairs.txt"), "--artifacts", str(artifacts)]
    judges = ["--judges", str(shared / "models" / "sface.onnx"), "--recompress", "JPEG 75", "--recompress", "half size"]
    curve = ["--budget", "0.01", "--budget", "0.06", "--steps", "2", "--lpips", str(alexnet), "--out", str(out)]
    result = CliRunner().invoke(
        command, [*given, *judges, *curve, "--photos", str(tmp_path / "photos")], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    assert "| ours (white box) | " in result.output
    assert "| sface | " in result.output
    assert "nobody.png: no face" in result.stderr
    rows = [*csv.DictReader((out / "protection.csv").read_text().splitlines())]
    assert {(row["setting"], row["budget"]) for row in rows} == {("1", "0.01"), ("2", "0.06")}
    less, more = (next(row for row in rows if row["setting"] == setting) for setting in ("1", "2"))
    for name in ("psnr", "ssim", "ssimulacra2"):
        assert float(less[name]) > float(more[name])
        assert float(more[name]) >= float(more[f"{name}_worst"])
    for name in ("lpips", "ciede2000", "blurred"):
        assert float(less[name]) < float(more[name]) <= float(more[f"{name}_worst"])
    assert 0 < float(less["change"]) <= float(more["change"])  # a peak reaches the clamp at either budget
    assert {row["outside_worst"] for row in rows} == {"0.0"}
    assert {row["recompression"] for row in rows} == {SAVED, LANDMARKS_GIVEN, "JPEG 75", "half size"}
    assert all(float(row["clean"]) == 0 for row in rows if row["recognizer"] == "sface")
    for name in ("protection.png", "sheet.png"):
        assert (out / name).is_file()
    (large, again) = csv.DictReader((out / "photos" / "photos.csv").read_text().splitlines())
    assert (large["photo"], large["budget"], again["budget"]) == ("large.png", "0.01", "0.06")
    assert int(large["side"]) > 600
    assert Image.open(out / "photos" / "large-2.png").width == 3 * 600


def test_command_refuses_what_it_cannot_use(data: Path, artifacts: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_text("ada/0.png ada/3.png\nbob/0.png bob/3.png\n")
    given = ["protection", str(data), str(tmp_path / "pairs.txt"), "--artifacts", str(artifacts)]
    for option, message in (("--judges", "not an ONNX model"), ("--lpips", "not AlexNet's convolutions")):
        refused = CliRunner().invoke(command, [*given, option, str(tmp_path / "pairs.txt")])
        assert refused.exit_code == 1
        assert message in refused.stderr
    refused = CliRunner().invoke(command, [*given, "--photos", str(data / "ada")])
    assert refused.exit_code == 2
    assert "--photos needs --out" in refused.stderr

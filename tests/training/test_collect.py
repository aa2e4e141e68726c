"""An identity from photos and a video: sampled, cut, thinned out, split, and ready to train on."""

import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

from face_encryption.runtime.faces import detect
from face_encryption.training.cli import collect as command
from face_encryption.training.data.cutting import open_detector
from face_encryption.training.data.layouts import list_data


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory, astronaut: NDArray[np.uint8]) -> Path:
    """Four seconds in which the astronaut moves across the picture."""
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=15)
        stream.width = stream.height = 256
        for number in range(60):
            x, y = 60 + number, number // 2
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(astronaut[y : y + 256, x : x + 256]), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_a_video_becomes_an_identity(video: Path, detector: Path, tmp_path: Path) -> None:
    given = ["eileen", str(video), "--out", str(tmp_path / "people"), "--frames", "12", "--detector", str(detector)]
    result = CliRunner().invoke(command, given, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    photos = list_data(tmp_path / "people")
    assert {photo.name for photo in photos.train} == {"eileen"}
    assert 4 <= len(photos.train) + len(photos.test) <= 12
    assert len(photos.test) == (len(photos.train) + len(photos.test)) // 4
    session = open_detector(detector)
    for photo in photos.everything:
        picture = np.asarray(Image.open(tmp_path / "people" / photo.path))
        assert picture.shape[0] == picture.shape[1]
        assert len(detect(session, picture)) == 1
    assert (tmp_path / "people" / "eileen.png").is_file()
    assert not list((tmp_path / "people").glob(".collect-*"))
    again = CliRunner().invoke(command, given)
    assert again.exit_code == 1
    assert "exists already" in again.stderr


def test_near_duplicates_and_useless_photos_are_dropped(data: Path, detector: Path, tmp_path: Path) -> None:
    given = ["ada", str(data / "ada"), str(data / "ada" / "0.png"), "--out", str(tmp_path), "--detector", str(detector)]
    result = CliRunner().invoke(command, given)
    assert result.exit_code == 0, result.output
    assert "skipped 1: no face" in result.stderr
    assert "skipped 1: two faces of equal size" in result.stderr
    assert "nearly the same as another" in result.stderr
    kept = list_data(tmp_path)
    assert 2 <= len(kept.everything) <= 8


def test_other_files_of_a_folder_are_passed_over(data: Path, detector: Path, tmp_path: Path) -> None:
    folder = tmp_path / "album"
    shutil.copytree(data / "bob", folder)
    Image.open(folder / "1.png").save(folder / "1.gif")
    (folder / "notes.txt").write_text("a text that is long enough to be drawn\n" * 100)
    given = ["bob", str(folder), "--out", str(tmp_path / "people"), "--detector", str(detector)]
    result = CliRunner().invoke(command, given)
    assert result.exit_code == 0, result.output
    assert "skipped 1: not a photo of a known format" in result.stderr


def test_a_file_where_the_sheet_would_be_is_left_alone(data: Path, detector: Path, tmp_path: Path) -> None:
    (tmp_path / "bob.png").write_text("mine")
    given = ["bob", str(data / "bob"), "--out", str(tmp_path), "--detector", str(detector)]
    result = CliRunner().invoke(command, given)
    assert result.exit_code == 1
    assert "bob.png exists already" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["bob.png"]


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("a/b", "ada", "cannot be an identity's name"),
        ("ada", "ada/0-nobody.png", "0 usable pictures of ada, at least 2 are needed (no face: 1)"),
        ("ada", "list.txt", "neither a photo nor a video"),
    ],
)
def test_bad_sources(name: str, source: str, message: str, data: Path, detector: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("no video, though FFmpeg draws such a text as one\n" * 100)
    place = tmp_path / source if source == "list.txt" else data / source
    out = tmp_path / "people"
    result = CliRunner().invoke(command, [name, str(place), "--out", str(out), "--detector", str(detector)])
    assert result.exit_code == 1
    assert message in result.stderr.splitlines()[-1]
    assert not out.exists()

import threading
import time
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from face_encryption.runtime import FaceEncryptionError, NoFaceError, OutputError, PhotoError
from face_encryption.runtime.cli.batch import Batch, Report, Work
from face_encryption.runtime.errors import STILL_A_MATCH
from face_encryption.runtime.files import PROTECTED, Target, choose_targets, write

TIMEOUT = 20  # seconds until a test that would wait for ever fails instead


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number:02}.png" for number in range(30)]
    for path in paths:
        path.touch()
    return paths


def run(work: Work, photos: list[Path], **options: Any) -> Result:
    @click.command()
    def command() -> None:
        Batch(map(str, photos), as_json=False).run(work, **options)

    return CliRunner().invoke(command)


def reported(photo: Path) -> Report:
    return Report((photo.name,), {})


def test_as_many_photos_at_once_as_there_are_jobs(photos: list[Path]) -> None:
    both_are_here = threading.Barrier(2, timeout=TIMEOUT)
    under_way: set[Path] = set()
    most = 0

    def work(photo: Path, _: object) -> Report:
        nonlocal most
        under_way.add(photo)
        both_are_here.wait()
        most = max(most, len(under_way))
        both_are_here.wait()
        under_way.remove(photo)
        return reported(photo)

    result = run(work, photos, jobs=2)
    assert result.exit_code == 0
    assert most == 2


def test_results_come_in_the_order_of_the_photos(photos: list[Path]) -> None:
    second_is_done = threading.Event()

    def work(photo: Path, _: object) -> Report:
        if photo == photos[0]:
            assert second_is_done.wait(TIMEOUT)
            raise NoFaceError("no face found")
        second_is_done.set()
        return reported(photo)

    result = run(work, photos, jobs=2)
    assert result.exit_code == NoFaceError.exit_code
    assert result.output.splitlines() == [
        f"Error: {photos[0]}: no face found",
        *(photo.name for photo in photos[1:]),
        "29 done, 0 skipped, 1 failed",
    ]


@pytest.mark.parametrize(
    ("failures", "exit_code"),
    [
        ({}, STILL_A_MATCH),
        ({3: NoFaceError("no face found")}, STILL_A_MATCH),
        ({3: OutputError("no room")}, OutputError.exit_code),
        ({3: NoFaceError("no face found"), 4: PhotoError("torn"), 5: OutputError("no room")}, PhotoError.exit_code),
    ],
)
def test_faces_that_are_still_a_match_count_more_than_photos_without_a_face(
    photos: list[Path], failures: dict[int, FaceEncryptionError], exit_code: int
) -> None:
    def work(photo: Path, _: object) -> Report:
        if error := failures.get(photos.index(photo)):
            raise error
        return Report((photo.name,), {}, matches=2 * (photo == photos[1]) + (photo == photos[-1]))

    result = run(work, photos)
    assert result.exit_code == exit_code
    last = f"{30 - len(failures)} done, 0 skipped, {len(failures)} failed, 3 faces STILL A MATCH"
    assert result.output.splitlines()[-1] == last


@pytest.mark.parametrize("jobs", [1, 2])
def test_photos_that_are_not_begun_are_dropped_when_a_batch_is_interrupted(photos: list[Path], jobs: int) -> None:
    begun = []

    def work(photo: Path, _: object) -> Report:
        begun.append(photo)
        if photo == photos[0]:
            raise KeyboardInterrupt
        time.sleep(0.2)
        return reported(photo)

    result = run(work, photos, jobs=jobs)
    assert result.exit_code == 1
    assert len(begun) < len(photos)


def test_the_same_photo_by_several_paths_is_one_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "folder").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "latest.png").symlink_to("a.png")
    inputs = [
        Path("a.png"),
        Path("./a.png"),
        tmp_path / "a.png",
        Path("folder/a.png"),
        Path("latest.png"),
        Path("b.png"),
    ]
    result = run(lambda photo, _: reported(photo), inputs)
    assert result.exit_code == 0
    assert [line for line in result.output.splitlines() if "left out" not in line] == [
        "a.png",
        "b.png",
        "2 done, 0 skipped, 0 failed",
    ]
    assert f"{tmp_path / 'a.png'}: left out, the same photo as a.png" in result.output
    assert "latest.png: left out, the same photo as a.png" in result.output


def test_what_another_process_wrote_meanwhile_is_skipped(photos: list[Path]) -> None:
    def work(photo: Path, target: Target | None) -> Report:
        assert target is not None
        if photo == photos[3]:
            target.path.write_bytes(b"of another process")
        write(target.path, b"own")
        return reported(photo)

    inputs = [str(photo) for photo in photos]
    result = run(work, photos, targets=choose_targets(photos, inputs, None, PROTECTED))
    assert result.exit_code == 0
    assert "29 done, 1 skipped, 0 failed" in result.output
    assert photos[3].with_name("03_protected.png").read_bytes() == b"of another process"
    named = [Target(photos[3].with_name("named.png"), named=True)]
    result = run(work, [photos[3]], targets=named)
    assert result.exit_code == OutputError.exit_code
    assert "never overwritten" in result.output


def test_an_empty_result_is_made_again_and_leftovers_are_removed(photos: list[Path]) -> None:
    def work(photo: Path, target: Target | None) -> Report:
        assert target is not None
        write(target.path, b"own")
        return reported(photo)

    folder = photos[0].parent / "out"
    folder.mkdir()
    (folder / "00_protected.png").touch()
    (folder / f".face-encryption-{'0' * 16}.part").write_bytes(b"half")
    result = run(work, photos, targets=choose_targets(photos, [str(photos[0].parent)], str(folder), PROTECTED))
    assert "30 done, 0 skipped, 0 failed" in result.output
    assert {path.read_bytes() for path in folder.iterdir()} == {b"own"}
    assert len(list(folder.iterdir())) == 30

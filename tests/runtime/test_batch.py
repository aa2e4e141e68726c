import threading
import time
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from face_encryption.runtime import NoFaceError
from face_encryption.runtime.batch import Batch, Report, Work

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

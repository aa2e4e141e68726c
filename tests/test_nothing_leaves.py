"""No command opens a socket of the internet family or leaves a file anywhere but where it was told to write.

Each runs as a new user's does: no `CI` in the environment, which would quiet onnxruntime, and an empty home and cache
folder. What strace saw is judged, and what lies in those folders afterwards.
"""

import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from face_encryption.runtime.cli import main

from .tracing import Trace, elsewhere, trace, written

# Libraries that report do it from a thread of their own, some time after the start.
SECONDS = 65
MANY = 1000  # photos: more than any machine protects in that time


@pytest.fixture
def photo(tmp_path: Path, astronaut: NDArray[np.uint8]) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(astronaut).save(path)
    return path


COMMANDS = {
    "protect": "protect {photo} --artifacts {artifacts} -o {out}/protected.png",
    "detect": "detect {photo} --artifacts {artifacts} --draw {out}/faces.png",
    "inspect": "inspect {artifacts}",
}
TRAINING = {"collect", "evaluate", "train"}


def test_every_command_is_here() -> None:
    assert set(main.list_commands(click.Context(main))) == COMMANDS.keys() | {"export"} | TRAINING


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_leaves_nothing_behind(name: str, strace: str, artifacts: Path, photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    words = [word.format(photo=photo, artifacts=artifacts, out=out) for word in COMMANDS[name].split()]
    found = trace(strace, tmp_path, *words)
    assert found.exit_code == 0
    assert (found.sockets, found.left) == ([], [])
    assert elsewhere(found, out) == []
    assert bool(found.written) == any(str(out) in word for word in words)


def test_the_export_leaves_nothing_behind(traced_export: tuple[Path, Trace | None]) -> None:
    folder, found = traced_export
    if found is None:
        pytest.skip("strace is not installed or not permitted")
    assert (found.sockets, found.left) == ([], [])
    # PyTorch looks whether a temporary folder can be written, and makes a semaphore: both are gone at once.
    assert [path for path in elsewhere(found, folder) if path.exists()] == []
    assert found.written


def test_a_long_batch_leaves_nothing_behind(strace: str, artifacts: Path, photo: Path, tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for number in range(MANY):
        (photos / f"{number}.png").hardlink_to(photo)
    found = trace(strace, tmp_path, "protect", photos, "--artifacts", artifacts, "-o", out, seconds=SECONDS)
    assert found.exit_code == 130
    assert 1 < len(list(out.iterdir())) < MANY
    assert (found.sockets, found.left) == ([], [])
    assert elsewhere(found, out) == []


def test_the_trace_shows_sockets_and_files(strace: str, tmp_path: Path) -> None:
    """What the tests above find nothing of would be found."""
    code = "import os, socket\nfor family in (socket.AF_INET, socket.AF_INET6): socket.socket(family)\n"
    code += "os.mkdir('made')\nopen('made/one', 'w')\nos.rename('made/one', 'made/two')\nopen(os.devnull)\n"
    see = ["-ff", "-y", "-qq", "-o", str(tmp_path / "log")]
    subprocess.run([strace, *see, sys.executable, "-c", code], cwd=tmp_path, check=True)
    lines = [line for log in tmp_path.glob("log.*") for line in log.read_text().splitlines()]
    assert sum("socket(AF_INET" in line for line in lines) == 2
    assert {tmp_path / "made", tmp_path / "made" / "one", tmp_path / "made" / "two"} <= set(written(lines, tmp_path))

"""No command opens a socket of the internet family or leaves a file anywhere but where it was told to write.

Each runs as a new user's does: no `CI` in the environment, which would quiet onnxruntime, and an empty home and cache
folder. What strace saw is judged, and what lies in those folders afterwards.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from face_encryption.runtime.cli import main

# Libraries that report do it from a thread of their own, some time after the start.
SECONDS = 65
MANY = 1000  # photos: more than any machine protects in that time
OPEN = ["open", "openat", "openat2"]
MAKE = ["creat", "mkdir", "mkdirat", "mknod", "mknodat"]
MAKE += ["rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"]
# With its file descriptors named: `openat(AT_FDCWD</folder>, "file", O_WRONLY|O_CREAT, 0666) = 3</folder/file>`.
CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\)\s+= (?P<result>-?\d+)")
PATH = re.compile(r'(?:(?:AT_FDCWD|\d+)<(?P<folder>[^>]*)>, )?"(?P<path>(?:[^"\\]|\\.)*)"')
LASTING = re.compile(r"O_WRONLY|O_RDWR|O_CREAT")


@dataclass(frozen=True)
class Trace:
    """What a command did: its exit code, its internet sockets, what it made or opened to write, and what of that lay in
    its home and working folder afterwards."""

    exit_code: int
    sockets: list[str]
    written: list[Path]
    left: list[Path]


def trace(strace: str, folder: Path, *command: str | Path, seconds: int | None = None) -> Trace:
    """Run `face-encryption COMMAND` with an empty home; after so many seconds as if Ctrl-C was pressed."""
    logs, home, work = (folder / name for name in ("logs", "home", "work"))
    for each in (logs, home, work):
        each.mkdir()
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    # Bytecode beside the code is Python's own affair.
    environment = kept | {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    calls = ",".join(["socket", *(f"?{name}" for name in OPEN + MAKE)])
    stop = ["timeout", "--foreground", "--preserve-status", "-s", "INT", str(seconds)] if seconds else []
    see = ["-ff", "--seccomp-bpf", "-y", "-qq", "-e", "signal=none", "-e", f"trace={calls}", "-o", str(logs / "of")]
    done = subprocess.run(
        [strace, *see, *stop, sys.executable, "-m", "face_encryption.runtime", *command],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        # A shell that started the tests in the background would let Ctrl-C be ignored here too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    lines = [line for log in logs.iterdir() for line in log.read_text().splitlines()]
    assert any("O_RDONLY" in line for line in lines), done.stderr
    sockets = [line for line in lines if line.startswith("socket(") and "AF_INET" in line]
    left = [path for place in (home, work) for path in place.rglob("*")]
    return Trace(done.returncode, sockets, sorted(set(written(lines, work))), left)


def written(lines: list[str], work: Path) -> Iterator[Path]:
    """Yield the paths that calls made or opened to write; `work` is where the command ran."""
    for line in lines:
        call = CALL.match(line)
        if not call or int(call["result"]) < 0 or call["name"] not in OPEN + MAKE:
            continue
        if call["name"] in OPEN and not LASTING.search(call["arguments"]):
            continue
        *_, last = PATH.finditer(call["arguments"])
        yield work / (last["folder"] or "") / last["path"]


def elsewhere(trace: Trace, *allowed: Path) -> list[Path]:
    places = (*allowed, Path(os.devnull), Path("/dev/tty"))
    return [path for path in trace.written if not any(path.is_relative_to(place) for place in places)]


@pytest.fixture
def photo(tmp_path: Path, astronaut: NDArray[np.uint8]) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(astronaut).save(path)
    return path


COMMANDS = {
    "protect": "protect {photo} --artifacts {artifacts} -o {out}/protected.png",
    "detect": "detect {photo} --artifacts {artifacts} --draw {out}/faces.png",
    "inspect": "inspect {artifacts}",
    "export": "export --out {out}/artifacts",
}
TRAINING = {"collect", "evaluate", "train"}


def test_every_command_is_here() -> None:
    assert set(main.list_commands(click.Context(main))) == COMMANDS.keys() | TRAINING


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_leaves_nothing_behind(name: str, strace: str, artifacts: Path, photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    words = [word.format(photo=photo, artifacts=artifacts, out=out) for word in COMMANDS[name].split()]
    found = trace(strace, tmp_path, *words)
    assert found.exit_code == 0
    assert (found.sockets, found.left) == ([], [])
    # PyTorch looks whether a temporary folder can be written, and makes a semaphore: both are gone at once.
    assert [path for path in elsewhere(found, out) if name != "export" or path.exists()] == []
    assert bool(found.written) == any(str(out) in word for word in words)


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

"""Run batches in processes of their own, kill them, run them again, and print what went wrong, as JSON.

A script of its own, because it forks: python killed_batches.py FOLDER "every step" "no links"
"""

import errno
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click

from face_encryption.runtime.cli.batch import Batch, Report
from face_encryption.runtime.files import PROTECTED, Target, choose_targets, write

SIZE = 50_000
# What the file system is asked for on the way to a result, as Python's audit events name it.
EVENTS = {"open", "os.link", "os.rename", "os.remove", "os.mkdir", "os.scandir", "fcntl.flock"}
TRIES = int(os.environ.get("FACE_ENCRYPTION_TEST_KILLS", "4"))  # at random moments


def content(photo: Path) -> bytes:
    """The result for a photo."""
    return (photo.name.encode() * SIZE)[:SIZE]


def run(folder: Path, log: str) -> int:
    """Run a batch over a folder, write down in a file what is begun, and return its exit code."""
    inputs = [str(folder / "photos")]

    def work(photo: Path, target: Target | None) -> Report:
        assert target is not None
        with open(folder / log, "a") as file:
            file.write(f"{photo.name}\n")
        write(target.path, content(photo))
        return Report((), {})

    def command() -> None:
        batch = Batch(inputs, as_json=False)
        batch.run(work, choose_targets(batch.photos, inputs, str(folder / "out"), PROTECTED))

    try:
        click.Command("batch", callback=command).main([], standalone_mode=False)
    except SystemExit as exit_:
        return int(exit_.code or 0)
    return 0


def start(folder: Path, log: str, prepare: Callable[[], None] = lambda: None) -> int:
    """Begin a batch in a process of its own and return its number."""
    if (process := os.fork()) == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        prepare()
        os._exit(run(folder, log))
    return process


def kill_at(step: int) -> None:
    """Kill this process just before it asks the file system for the so-manieth thing."""
    left = step

    def hook(event: str, _: object) -> None:
        nonlocal left
        left -= event in EVENTS
        if left < 0 and event in EVENTS:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def prepared(folder: Path, photos: int) -> Path:
    """Make a folder with photos anew."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "photos").mkdir(parents=True)
    for number in range(photos):
        (folder / "photos" / f"{number:03}.png").write_bytes(b"photo")
    return folder


def check(folder: Path) -> list[str]:
    """Run the batch that was killed again, and return what went wrong in either run."""
    photos = sorted((folder / "photos").iterdir())
    results = {photo: folder / "out" / f"{photo.stem}{PROTECTED}.png" for photo in photos}
    wrong, whole = [], set()
    for photo, result in results.items():
        if result.exists() and result.stat().st_size:
            whole.add(photo.name)
            if result.read_bytes() != content(photo):
                wrong.append(f"{result.name} is partial")
    (folder / "second").touch()
    if code := os.waitstatus_to_exitcode(os.waitpid(start(folder, "second"), 0)[1]):
        wrong.append(f"the second run exits with {code}")
    begun = (folder / "second").read_text().split()
    wrong += [f"{name} is done again" for name in begun if name in whole or begun.count(name) > 1]
    wrong += [f"{photo.name} is lost" for photo in photos if photo.read_bytes() != b"photo"]
    wrong += [f"no {result.name}" for photo, result in results.items() if result.read_bytes() != content(photo)]
    return wrong + [f"{left.name} is left" for left in (folder / "out").iterdir() if left not in results.values()]


def main(folder: Path, way: str, links: str) -> None:
    """Try one way of killing."""
    if links == "no links":

        def link(*_: object) -> None:
            raise OSError(errno.EPERM, "Operation not permitted")

        os.link = link  # type: ignore[assignment]
    wrong, unfinished = [], 0
    if way == "every step":
        for step in range(1000):
            process = start(prepared(folder / "batch", 3), "first", lambda step=step: kill_at(step))  # type: ignore[misc]
            was_killed = os.waitpid(process, 0)[1] == signal.SIGKILL
            wrong += [f"step {step}: {each}" for each in check(folder / "batch")]
            unfinished += was_killed
            if not was_killed:
                break
    elif way == "any moment":
        begin = time.monotonic()
        os.waitpid(start(prepared(folder / "batch", 150), "first"), 0)
        lasting = time.monotonic() - begin
        moments = random.Random(0)
        for _ in range(TRIES):
            process = start(prepared(folder / "batch", 150), "first")
            time.sleep(moments.uniform(0.1, 0.9) * lasting)
            os.kill(process, signal.SIGKILL)
            unfinished += os.waitpid(process, 0)[1] == signal.SIGKILL
            wrong += check(folder / "batch")
    else:
        for _ in range(5):
            prepared(folder / "batch", 24)
            both = [start(folder / "batch", log) for log in ("first", "another")]
            wrong += [f"exit status {status}" for process in both if (status := os.waitpid(process, 0)[1])]
            wrong += [each for each in check(folder / "batch") if "exits" not in each]
    print(json.dumps({"unfinished": unfinished, "wrong": wrong}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])

"""What a command of ours asks of the kernel, as strace shows it."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OPEN = ["open", "openat", "openat2"]
MAKE = ["creat", "mkdir", "mkdirat", "mknod", "mknodat"]
MAKE += ["rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"]
# With its file descriptors named: `openat(AT_FDCWD</folder>, "file", O_WRONLY|O_CREAT, 0666) = 3</folder/file>`.
CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\)\s+= (?P<result>-?\d+)")
PATH = re.compile(r'(?:(?:AT_FDCWD|\d+)<(?P<folder>[^>]*)>, )?"(?P<path>(?:[^"\\]|\\.)*)"')
LASTING = re.compile(r"O_WRONLY|O_RDWR|O_CREAT")


def find_strace() -> str | None:
    """Return the program where it is installed and may look; Linux alone has it."""
    found = shutil.which("strace")
    if not found or subprocess.run([found, "-qq", "-o", os.devnull, "true"], capture_output=True).returncode:
        return None
    return found


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

"""Writing files whole or not at all, whatever happens."""

import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from face_encryption.runtime.errors import OutputError
from face_encryption.runtime.writing import is_taken, remove_leftovers, write


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(b"")


@pytest.fixture(params=["links", "no links"])
def _file_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without hard links, which FAT does not have."""
    if request.param == "no links":

        def link(*_: Any) -> None:
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", link)


@pytest.mark.usefixtures("_file_system")
def test_write_makes_folders_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "photo.jpg"
    write(path, b"bytes")
    assert path.read_bytes() == b"bytes"
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()
    assert list(path.parent.iterdir()) == [path]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.usefixtures("_file_system")
@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
def test_write_never_overwrites(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "photo.jpg"
    if kind == "file":
        path.write_bytes(b"other")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("nowhere")
    with pytest.raises(OutputError, match=r"never overwritten|File exists"):
        write(path, b"bytes")
    assert list(tmp_path.iterdir()) == [path]
    assert kind != "file" or path.read_bytes() == b"other"


@pytest.mark.usefixtures("_file_system")
@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_interruption_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, failing, interrupt)
    if failing == "replace" and os.link.__module__ == "posix":
        pytest.skip("with links there is no replace")
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "photo.jpg", b"bytes")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["file/photo.jpg", "file/sub/photo.jpg", "n" * 300 + ".jpg", "/proc/photo.jpg"])
def test_place_that_cannot_be_written(tmp_path: Path, place: str) -> None:
    touch(tmp_path, "file")
    with pytest.raises(OutputError, match="cannot be written"):
        write(tmp_path / place, b"bytes")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        write(tmp_path / "photo.jpg", b"bytes")


def test_full_disk_leaves_no_file(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from face_encryption.runtime.writing import write\n"
        "write(Path(sys.argv[1]), bytes(100_000))"
    )

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "photo.jpg"], preexec_fn=limit, capture_output=True, text=True
    )
    assert "OutputError" in done.stderr
    assert "cannot be written (File too large)" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("_file_system")
def test_an_empty_file_is_no_result_and_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.touch()
    assert not is_taken(path)
    write(path, b"bytes")
    assert is_taken(path)
    assert path.read_bytes() == b"bytes"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("_file_system")
def test_an_empty_file_that_another_process_holds_is_left_to_it(tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    path = tmp_path / "photo.jpg"
    with open(path, "wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match="exists already"):
            write(path, b"bytes")
    assert path.read_bytes() == b""
    assert list(tmp_path.iterdir()) == [path]


def test_only_what_dead_processes_left_is_removed(tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    dead, alive = (tmp_path / f".face-encryption-{digit * 16}.part" for digit in "01")
    touch(tmp_path, dead.name, ".other.part", ".face-encryption-0.part", "photo.jpg")
    with open(alive, "wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        remove_leftovers([tmp_path, tmp_path / "missing", tmp_path / "photo.jpg", Path("\0")])
        assert alive.exists()
    assert not dead.exists()
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("links", ["links", "no links"])
@pytest.mark.parametrize("way", ["every step", "any moment", "two at once"])
def test_batches_that_are_killed(way: str, links: str, tmp_path: Path) -> None:
    script = Path(__file__).with_name("killed_batches.py")
    done = subprocess.run([sys.executable, script, tmp_path, way, links], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    tried = json.loads(done.stdout)
    assert tried["unfinished"] >= (0 if way == "two at once" else 3)
    assert tried["wrong"] == []

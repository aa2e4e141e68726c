import errno
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from face_encryption.runtime.errors import OutputError, PhotoError
from face_encryption.runtime.files import (
    DETECTED,
    PROTECTED,
    Target,
    choose_targets,
    find_photos,
    left_out,
    read,
    source,
    write,
)


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def test_folder_gives_its_photos_and_none_of_our_own_outputs(tmp_path: Path) -> None:
    touch(tmp_path, "b.JPG", "a.png", "c.webp", ".d.jpg", "e.txt", "a_protected.png", "a_faces.png", "sub/f.jpg")
    (tmp_path / "folder.jpg").mkdir()
    assert [photo.name for photo in find_photos(str(tmp_path))] == ["a.png", "b.JPG", "c.webp"]
    assert left_out(tmp_path) == "1 *_faces, 1 *_protected, 1 .txt, 2 folders"


def test_an_empty_name_is_not_the_current_folder() -> None:
    with pytest.raises(PhotoError, match="an empty name"):
        find_photos("")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    touch(tmp_path, "closed/a.png")
    (tmp_path / "closed").chmod(0)
    try:
        assert find_photos(str(tmp_path / "closed" / "a.png")) == [tmp_path / "closed" / "a.png"]
        with pytest.raises(PhotoError, match="cannot be read"):
            read(tmp_path / "closed" / "a.png")
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_pattern(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b.png", "b_protected.png", "sub/c.png", "d.jpg")
    assert [photo.name for photo in find_photos(f"{tmp_path}/*.png")] == ["a.png", "b.png"]
    assert [photo.name for photo in find_photos(f"{tmp_path}/**/*.png")] == ["a.png", "b.png", "c.png"]


@pytest.mark.parametrize("name", ["a_protected.png", "a.xyz", ".hidden.png", "[a].png", "missing.png"])
def test_named_file_is_taken_whatever_its_name(tmp_path: Path, name: str) -> None:
    if name != "missing.png":
        touch(tmp_path, name)
    assert find_photos(str(tmp_path / name)) == [tmp_path / name]


@pytest.mark.parametrize("text", ["", "*.jpg"])
def test_nothing_found(tmp_path: Path, text: str) -> None:
    touch(tmp_path, "a.txt")
    with pytest.raises(PhotoError, match="no photo"):
        find_photos(str(tmp_path / text))


def test_a_name_like_a_result_is_a_photo_where_there_is_none_that_it_was_made_of(tmp_path: Path) -> None:
    touch(tmp_path, "class_faces.jpg")
    assert find_photos(str(tmp_path)) == [tmp_path / "class_faces.jpg"]
    assert left_out(tmp_path) == ""
    touch(tmp_path, "class.jpg")
    assert find_photos(str(tmp_path)) == [tmp_path / "class.jpg"]
    assert source(tmp_path / "class_faces.jpg") == tmp_path / "class.jpg"
    assert source(tmp_path / "class.jpg") is None


def test_a_folder_without_photos_says_what_it_holds(tmp_path: Path) -> None:
    touch(tmp_path, "a_protected.jpg", "b.heic")
    with pytest.raises(PhotoError, match=r"found 1 \*_protected, 1 \.heic"):
        find_photos(str(tmp_path))


@pytest.mark.parametrize("name", ["missing.jpg", ".", "/dev/zero", "file/below.jpg", "n" * 300])
def test_unreadable_inputs(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "file")
    with pytest.raises(PhotoError, match=r"cannot be read|not a file"):
        read(tmp_path / name)


@pytest.mark.parametrize(
    ("inputs", "out", "expected"),
    [
        pytest.param(["a.jpg"], None, ["a_protected.jpg"], id="beside"),
        pytest.param(["sub/a.jpg"], None, ["sub/a_protected.jpg"], id="beside in a folder"),
        pytest.param(["a.jpg"], "out", ["out/a_protected.jpg"], id="new folder"),
        pytest.param(["a.jpg"], "out.d/", ["out.d/a_protected.jpg"], id="new folder by its slash"),
        pytest.param(["a.jpg"], "sub", ["sub/a_protected.jpg"], id="folder"),
        pytest.param(["a.jpg"], "sub.jpg", ["sub.jpg/a_protected.jpg"], id="folder named as a photo"),
        pytest.param(["a.jpg"], "b.jpeg", ["b.jpeg"], id="file"),
        pytest.param(["a"], "b.png", ["b.png"], id="file for a photo without suffix"),
        pytest.param(["a.jpg", "b.jpg"], "c.jpg", ["c.jpg/a_protected.jpg", "c.jpg/b_protected.jpg"], id="two photos"),
    ],
)
def test_targets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inputs: list[str], out: str | None, expected: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, "sub/a.jpg", "sub.jpg/x")
    targets = choose_targets([Path(text) for text in inputs], inputs, out, PROTECTED)
    assert [str(target.path) for target in targets] == expected
    assert targets[0].named == (expected[0] == out)


def test_folder_with_one_photo_goes_to_a_folder(tmp_path: Path) -> None:
    (target,) = choose_targets([tmp_path / "a.jpg"], [str(tmp_path)], "out.jpg", DETECTED)
    assert target.path == Path("out.jpg/a_faces.jpg")


def test_photo_keeps_its_format() -> None:
    with pytest.raises(OutputError, match=r"let the name end in \.jpg"):
        choose_targets([Path("a.jpg")], ["a.jpg"], "b.png", PROTECTED)
    # Another ending says nothing of the format, so neither does the check.
    assert choose_targets([Path("a.bak")], ["a.bak"], "b.png", PROTECTED) == [Target(Path("b.png"), named=True)]
    with pytest.raises(OutputError, match="empty name"):
        choose_targets([Path("a.jpg")], ["a.jpg"], "", PROTECTED)


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
        path.touch()
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("nowhere")
    with pytest.raises(OutputError, match=r"never overwritten|File exists"):
        write(path, b"bytes")
    assert list(tmp_path.iterdir()) == [path]
    assert kind != "file" or path.read_bytes() == b""


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
        "import sys; from pathlib import Path; from face_encryption.runtime.files import write\n"
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

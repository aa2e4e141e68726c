import os
from pathlib import Path

import pytest

from face_encryption.runtime.errors import OutputError, PhotoError
from face_encryption.runtime.files import (
    DETECTED,
    MAX_MEGABYTES,
    PROTECTED,
    Target,
    choose_targets,
    find_photos,
    left_out,
    read,
    source,
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


@pytest.mark.parametrize("out", ["o.heic", "sub/o.GIF", "o.tiff", "o.mp4"])
@pytest.mark.parametrize("inputs", [["a.jpg"], ["a.jpg", "b.jpg"]])
def test_the_name_of_another_kind_of_file_is_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inputs: list[str], out: str
) -> None:
    monkeypatch.chdir(tmp_path)
    photos = [Path(text) for text in inputs]
    with pytest.raises(OutputError, match="keeps its format"):
        choose_targets(photos, inputs, out, PROTECTED)
    assert choose_targets(photos, inputs, out + "/", PROTECTED)[0].path == Path(out, "a_protected.jpg")
    Path(out).mkdir(parents=True)
    assert choose_targets(photos, inputs, out, PROTECTED)[0].path == Path(out, "a_protected.jpg")


def test_nothing_goes_to_standard_output() -> None:
    with pytest.raises(OutputError, match="standard output"):
        choose_targets([Path("a.jpg")], ["a.jpg"], "-", PROTECTED)


def test_a_named_file_may_end_as_what_the_photo_holds(tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"\x89PNG\r\n\x1a\n")
    for name in ("real.png", "as-before.JPEG"):
        assert choose_targets([photo], [str(photo)], name, PROTECTED) == [Target(Path(name), named=True)]
    with pytest.raises(OutputError, match=r"let the name end in \.jpg or \.png"):
        choose_targets([photo], [str(photo)], "x.webp", PROTECTED)


def test_a_file_too_long_to_be_a_photo_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "long.jpg"
    with open(path, "wb") as file:
        file.truncate(2 * MAX_MEGABYTES * 10**6)
    with pytest.raises(PhotoError, match=f"more than {MAX_MEGABYTES}, the most"):
        read(path)


def test_photo_keeps_its_format() -> None:
    with pytest.raises(OutputError, match=r"let the name end in \.jpg"):
        choose_targets([Path("a.jpg")], ["a.jpg"], "b.png", PROTECTED)
    # Another ending says nothing of the format, so neither does the check.
    assert choose_targets([Path("a.bak")], ["a.bak"], "b.png", PROTECTED) == [Target(Path("b.png"), named=True)]
    with pytest.raises(OutputError, match="empty name"):
        choose_targets([Path("a.jpg")], ["a.jpg"], "", PROTECTED)

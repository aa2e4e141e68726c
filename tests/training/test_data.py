"""Layouts and lists: which photos are trained and tested on, and one clear line about what is wrong."""

import shutil
from pathlib import Path

import pytest

from face_encryption.training.data.layouts import (
    DataError,
    Photo,
    list_data,
    read_list,
    split_identities,
    split_validation,
)


def test_a_folder_per_identity_keeps_every_identity_in_training(data: Path) -> None:
    photos = list_data(data)
    assert {photo.name for photo in photos.train} == {"ada", "bob"}
    assert not set(photos.train) & set(photos.test)
    assert len(photos.everything) == len(list(data.glob("*/*")))


def test_celeba_hq_identities_keep_their_split(data: Path, tmp_path: Path) -> None:
    for part, name, number in (("train", "7", 0), ("train", "7", 1), ("train", "12", 2), ("test", "7", 3)):
        (tmp_path / part / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(data / "ada" / f"{number}.png", tmp_path / part / name)
    photos = list_data(tmp_path)
    assert photos.train == [Photo("train/12/2.png", "12"), Photo("train/7/0.png", "7"), Photo("train/7/1.png", "7")]
    assert photos.test == [Photo("test/7/3.png", "7")]


def test_celeba_takes_identities_from_its_file(data: Path, tmp_path: Path) -> None:
    (tmp_path / "img_align_celeba").mkdir()
    for number in range(1, 6):
        shutil.copy(data / "ada" / "0.png", tmp_path / "img_align_celeba" / f"{number:06}.jpg")
    rows = [f"{number:06}.jpg {2880 if number < 5 else 9}" for number in range(1, 7)]  # 6 is not on the disk
    (tmp_path / "identity_CelebA.txt").write_text("\n".join(rows))
    photos = list_data(tmp_path)
    assert [photo.name for photo in photos.train] == ["2880"] * 3 + ["9"]
    assert photos.test == [Photo("img_align_celeba/000004.jpg", "2880")]
    (tmp_path / "list.txt").write_text("img_align_celeba/000005.jpg\n")
    assert read_list(tmp_path / "list.txt", tmp_path, {p.path: p for p in photos.everything})[0].name == "9"


def test_splits() -> None:
    photos = [Photo(f"a/{number}", "a") for number in range(5)] + [Photo("b/0", "b")]
    train, test = split_identities(photos)
    assert [photo.path for photo in test] == ["a/3"]
    rest, validation = split_validation(train)
    assert [photo.path for photo in validation] == ["a/4"]
    assert [photo.path for photo in rest] == ["a/0", "a/1", "a/2", "b/0"]


def test_a_photo_listed_twice_counts_once(data: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("ada/0.png\nada/0.png ada/1.png\n\n")
    assert [photo.path for photo in read_list(tmp_path / "list.txt", data)] == ["ada/0.png", "ada/1.png"]


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ("ada/9.png\n", "ada/1.png\n", r"train.txt:1: no photo ada/9.png"),
        ("\n", "ada/1.png\n", "train.txt: the list is empty"),
        ("x\n", "ada/1.png\n", "train.txt:1: no photo x"),
        ("ada/0.png\n", "ada/0.png\n", "ada/0.png is in the training list too"),
        ("ada/0.png\n", "bob/0.png\n", "the test photos show bob, whom no training photo shows"),
        ("ada/0.png\n", None, "give both"),
    ],
)
def test_bad_lists(train: str, test: str | None, message: str, data: Path, tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(train)
    (tmp_path / "test.txt").write_text(test or "")
    with pytest.raises(DataError, match=message):
        list_data(data, tmp_path / "train.txt", tmp_path / "test.txt" if test else None)


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        list_data(tmp_path / "missing")
    (tmp_path / "nobody").mkdir()
    with pytest.raises(DataError, match="no photos"):
        list_data(tmp_path)
    (tmp_path / "identity_CelebA.txt").write_text("000001.jpg\n")
    with pytest.raises(DataError, match="a file name and the number"):
        list_data(tmp_path)

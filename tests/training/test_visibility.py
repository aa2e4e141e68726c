"""What can be seen of a change grows with the change, and each measure sees what it is for."""

import os
from pathlib import Path

import lpips_weights
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from face_encryption.training.evaluation.lpips import LpipsError, load_lpips
from face_encryption.training.evaluation.visibility import Visibility, measure_visibility, outside_change, summarize


@pytest.fixture
def face(astronaut: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return astronaut[32:160, 160:288].copy()


def test_nothing_is_seen_of_no_change(face: NDArray[np.uint8]) -> None:
    assert measure_visibility(face, face) == Visibility(float("inf"), 1, None, 100, 0, 0, 0, 0)


@pytest.mark.parametrize("side", [16, 128, 300])
def test_more_is_seen_of_a_larger_change(side: int, astronaut: NDArray[np.uint8]) -> None:
    square, noise = astronaut[:side, 100 : 100 + side], np.random.default_rng(0).normal(0, 1, (side, side, 3))
    less, more = (
        measure_visibility(square, (square + level * noise).clip(0, 255).astype(np.uint8)) for level in (2, 8)
    )
    for name in ("psnr", "ssim", "ssimulacra2"):
        assert getattr(less, name) > getattr(more, name), name
    for name in ("ciede2000", "blurred", "change"):
        assert getattr(less, name) < getattr(more, name), name


def test_a_blur_leaves_shading_and_no_checkerboard(face: NDArray[np.uint8]) -> None:
    checkerboard = face.clip(20, 235)
    checkerboard[20:100:2, 20:100:2] += 10
    checkerboard[21:101:2, 20:100:2] -= 10
    shading = face.clip(20, 235)
    shading[40:90, 40:90] += 10
    fine, coarse = (measure_visibility(face.clip(20, 235), each) for each in (checkerboard, shading))
    assert fine.change == coarse.change == 10
    assert fine.blurred < 1
    assert coarse.blurred == pytest.approx(10, abs=0.1)


def test_a_hue_is_a_colour_difference_and_no_luma(face: NDArray[np.uint8]) -> None:
    """Red up and green down, by as much as keeps the luma."""
    grey = np.full_like(face, 128)
    red, bright = grey.copy(), grey + np.uint8(4)
    red[..., 0] += 20
    red[..., 1] -= 10
    reddish, brighter = measure_visibility(grey, red), measure_visibility(grey, bright)
    assert reddish.blurred < 0.2 < brighter.blurred
    assert reddish.ciede2000 > 10 > brighter.ciede2000


def test_what_changes_outside(face: NDArray[np.uint8]) -> None:
    changed, inside = face.clip(0, 250), np.zeros(face.shape[:2], np.bool_)
    original, inside[10:20, 30:40] = changed.copy(), True
    changed[12, 34] += 5
    assert outside_change(original, changed, inside) == 0
    changed[9, 34, 1] += 3
    assert outside_change(original, changed, inside) == 3
    assert outside_change(original, changed, np.ones_like(inside)) == 0


def test_the_worst_photo_is_the_one_most_is_seen_of() -> None:
    first, second = Visibility(40, 0.9, None, 80, 3, 2, 8, 0), Visibility(30, 0.8, None, 40, 9, 1, 4, 6)
    summary = summarize([first, second])
    assert summary["psnr"] == (35, 30)
    assert summary["ssimulacra2"] == (60, 40)
    assert summary["ciede2000"] == (6, 9)
    assert summary["outside"] == (3, 6)
    assert "lpips" not in summary


def test_lpips_grows_with_the_change(alexnet: Path, face: NDArray[np.uint8]) -> None:
    distance, noise = load_lpips(alexnet), np.random.default_rng(0).normal(0, 1, face.shape)
    changed = [(face + level * noise).clip(0, 255).astype(np.uint8) for level in (4, 16)]
    assert distance(face, face) == 0
    assert 0 < distance(face, changed[0]) < distance(face, changed[1])
    assert measure_visibility(face, changed[0], lpips=distance).lpips == distance(face, changed[0])


def test_what_is_no_alexnet_is_refused(alexnet: Path, tmp_path: Path) -> None:
    (tmp_path / "text.safetensors").write_text("no weights")
    save_file({"slice1.0.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    for name in ("missing.safetensors", "text.safetensors", "other.safetensors"):
        with pytest.raises(LpipsError, match=f"{name}: not AlexNet"):
            load_lpips(tmp_path / name)


def test_weights_are_read_without_unpickling(tmp_path: Path) -> None:
    """As NumPy's arrays in nested dicts are pickled; what would run something runs nothing."""
    import pickle

    class Harmful:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "harm"),)

    first, second, third, fourth, head = np.arange(5 * 64, dtype=np.float32).reshape(5, 64)
    layers = {"Conv_0": {"kernel": first.reshape(8, 8), "bias": second}, "Conv_1": {"kernel": third, "bias": fourth}}
    tree = {"AlexNet_0": layers, "NetLinLayer_0": {"Conv_0": {"kernel": head}}, "harm": Harmful()}
    arrays = lpips_weights.read_arrays(pickle.dumps(tree, protocol=3))
    assert not (tmp_path / "harm").exists()
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "AlexNet_0/Conv_0/kernel": first.tolist(),
        "AlexNet_0/Conv_0/bias": second.tolist(),
        "AlexNet_0/Conv_1/kernel": third.tolist(),
        "AlexNet_0/Conv_1/bias": fourth.tolist(),
        "NetLinLayer_0/Conv_0/kernel": head.tolist(),
    }

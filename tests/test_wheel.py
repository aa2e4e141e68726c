"""The wheel that `make wheel` builds protects a photo where there is nothing but it and what it depends on."""

import importlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

ROOT = Path(__file__).parents[1]
MAIN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from face_encryption.runtime.cli import main; main()"


@pytest.fixture(scope="module")
def wheel(artifacts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel") / "dist"
    command = ["make", "-o", "artifacts", "wheel", f"BIN={Path(sys.executable).parent}", f"WHEEL_OF={artifacts}"]
    subprocess.run([*command, f"DIST={out}"], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = out.iterdir()
    return wheel


def test_it_is_small_and_has_the_artifacts(wheel: Path, artifacts: Path) -> None:
    assert wheel.stat().st_size <= 40e6
    names = set(zipfile.ZipFile(wheel).namelist())
    packed = {name for name in names if "/packed_artifacts/" in name}
    assert packed == {f"face_encryption/runtime/packed_artifacts/{file.name}" for file in artifacts.iterdir()}


def test_it_protects_at_once(
    wheel: Path, tmp_path: Path, astronaut: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No torch, no export, and no word about artifacts."""
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    for name in (
        "numpy",
        "numpy.libs",
        "onnxruntime",
        "PIL",
        "pillow.libs",
        "click",
        "flatbuffers",
        "google",
        "packaging",
    ):
        package = Path(importlib.import_module("numpy").__file__ or "").parents[1] / name
        if package.is_dir():
            (site / name).symlink_to(package)
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(astronaut).save(folder / "photo.jpg", quality=95)
    for name in ("FACE_ENCRYPTION_ARTIFACTS", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)
    # Without site-packages: what is not linked above is not there.
    command = [sys.executable, "-I", "-S", "-c", MAIN, str(site), "protect", "photo.jpg"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    assert (folder / "photo_protected.jpg").stat().st_size > 10_000

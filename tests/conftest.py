"""What all tests share: the exported artifacts, the real data where it is at hand, and a photo that everybody has."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All graphs, from the shipped checkpoint; FACE_ENCRYPTION_TEST_ARTIFACTS names a folder to use instead."""
    if given := os.environ.get("FACE_ENCRYPTION_TEST_ARTIFACTS"):
        return Path(given).resolve()
    return _exported(tmp_path_factory.mktemp("export") / "artifacts")


@pytest.fixture(scope="session")
def float_artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with attacks in floats, which can be compared number by number."""
    return _exported(tmp_path_factory.mktemp("export") / "floats", "fp32")


def _exported(folder: Path, arithmetic: Literal["fp32"] | None = None) -> Path:
    from face_encryption.export.cli import CHECKPOINT, SURROGATES
    from face_encryption.export.pipeline import export_artifacts
    from face_encryption.training.distill.aligned import read_recognizers

    export_artifacts(CHECKPOINT, folder, read_recognizers(SURROGATES), arithmetic=arithmetic)
    return folder


@pytest.fixture(scope="session")
def printed_on_loading() -> Callable[[Path], str]:
    """What loading a folder's graphs prints, with the options of a client that sets none."""

    def printed(folder: Path) -> str:
        code = "import sys\nfrom face_encryption.runtime.onnx_runtime import ort\n"
        code += "for file in sys.argv[1:]: ort.InferenceSession(file, providers=['CPUExecutionProvider'])"
        files = [str(path) for path in folder.glob("*.onnx")]
        done = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True, check=True)
        return done.stdout + done.stderr

    return printed


@pytest.fixture(scope="session")
def shared() -> Path:
    """The project's data folder, which is no part of the repository."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"the project's data are not at {folder}")
    return folder


@pytest.fixture(scope="session")
def astronaut() -> NDArray[np.uint8]:
    """Eileen Collins, a public-domain portrait by NASA, uint8 [512, 512, 3]."""
    from skimage import data

    return np.asarray(data.astronaut())


@pytest.fixture(scope="session")
def strace() -> str:
    """The program that shows what a process asks of the kernel, and can refuse it; Linux alone has it."""
    found = shutil.which("strace")
    if not found or subprocess.run([found, "-qq", "-o", os.devnull, "true"], capture_output=True).returncode:
        pytest.skip("strace is not installed or not permitted")
    return found

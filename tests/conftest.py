"""What all tests share: the exported artifacts, the real data where it is at hand, and a photo that everybody has."""

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All graphs, from the shipped checkpoint; FACE_ENCRYPTION_TEST_ARTIFACTS names a folder to use instead."""
    if given := os.environ.get("FACE_ENCRYPTION_TEST_ARTIFACTS"):
        return Path(given).resolve()
    from face_encryption.export.cli import CHECKPOINT
    from face_encryption.export.pipeline import export_artifacts

    folder = tmp_path_factory.mktemp("export") / "artifacts"
    export_artifacts(CHECKPOINT, folder)
    return folder


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

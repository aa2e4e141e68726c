from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage.data import astronaut


@pytest.fixture(scope="session")
def face_pixels() -> NDArray[np.uint8]:
    """A photo of one face, uint8 [512, 512, 3]."""
    return astronaut()


@pytest.fixture
def photo_file(tmp_path: Path, face_pixels: NDArray[np.uint8]) -> Path:
    """A lossless photo of one face, alone in its folder."""
    path = tmp_path / "photo.png"
    Image.fromarray(face_pixels).save(path)
    return path

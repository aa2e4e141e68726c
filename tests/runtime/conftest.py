from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image


@pytest.fixture
def photo_file(tmp_path: Path, astronaut: NDArray[np.uint8]) -> Path:
    """A lossless photo of one face, alone in its folder."""
    path = tmp_path / "photo.png"
    Image.fromarray(astronaut).save(path)
    return path

from collections.abc import Iterator
from pathlib import Path

import lpips_weights
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from safetensors.torch import save_file


@pytest.fixture(scope="session")
def detector(artifacts: Path) -> Path:
    return artifacts / "detector.onnx"


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory, astronaut: NDArray[np.uint8]) -> Path:
    """Two identities that differ in colour and orientation, eight photos each; three more photos cannot be used."""
    root = tmp_path_factory.mktemp("data") / "photos"
    photo = Image.fromarray(astronaut).crop((100, 0, 356, 256))
    for name in ("ada", "bob"):
        (root / name).mkdir(parents=True)
        for number in range(8):
            changed = ImageEnhance.Brightness(photo).enhance(0.8 + 0.05 * number)
            if name == "bob":
                changed = Image.merge("RGB", changed.transpose(Image.Transpose.FLIP_LEFT_RIGHT).split()[::-1])
            changed.save(root / name / f"{number}.png")
    Image.new("RGB", (64, 64), "blue").save(root / "ada" / "0-nobody.png")
    twins = Image.new("RGB", (512, 256))
    twins.paste(photo, (0, 0))
    twins.paste(photo, (256, 0))
    twins.save(root / "ada" / "1-twins.png")
    (root / "bob" / "0-broken.jpg").write_bytes(b"no photo")
    return root


@pytest.fixture
def alexnet(tmp_path: Path) -> Iterator[Path]:
    """A file of AlexNet's convolutions with random weights."""
    threads = torch.get_num_threads()
    torch.manual_seed(0)
    weights = {}
    for name, (height, width, channels, filters) in lpips_weights.CONVOLUTIONS.items():
        scale = (2 / (height * width * channels)) ** 0.5
        weights[f"{name}.weight"] = scale * torch.randn(filters, channels, height, width)
        weights[f"{name}.bias"] = torch.zeros(filters)
    save_file(weights, tmp_path / "alexnet.safetensors")
    yield tmp_path / "alexnet.safetensors"
    torch.set_num_threads(threads)  # LPIPS wants one

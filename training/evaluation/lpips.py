"""LPIPS (Zhang et al. 2018, arXiv:1801.03924): how different two pictures look to AlexNet."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file


class LpipsError(ValueError):
    """A file that has not the weights that LPIPS needs."""


def load_lpips(backbone: Path) -> Callable[[npt.NDArray[np.uint8], npt.NDArray[np.uint8]], float]:
    """Return the distance of two pictures u8 [H, W, 3], RGB, both edges at least 32: 0 for the same, below about 1.

    `backbone` has AlexNet's convolutions, as `scripts/lpips_weights.py` writes it; torchmetrics has the weights of
    the distance. Raises `LpipsError`.
    """
    # torchmetrics' public class fetches all of AlexNet; this is what it wraps.
    from torchmetrics.functional.image.lpips import _LPIPS

    # Photos are measured by several threads at once, which would wait for each other's.
    torch.set_num_threads(1)
    network = _LPIPS(net="alex", pnet_rand=True)
    try:
        network.net.load_state_dict(load_file(backbone))
    except (OSError, SafetensorError, RuntimeError):
        raise LpipsError(
            f"{backbone}: not AlexNet's convolutions; python scripts/lpips_weights.py makes such a file"
        ) from None

    def distance(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> float:
        first, second = (torch.from_numpy(each.copy()).permute(2, 0, 1)[None] / 255 for each in (one, other))
        with torch.no_grad():
            return float(network(first, second, normalize=True))

    return distance

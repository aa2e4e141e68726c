"""LPIPS (Zhang et al. 2018, arXiv:1801.03924): how different two pictures look to a network that knows pictures."""

import os
from collections.abc import Callable
from http.client import HTTPException
from pickle import UnpicklingError
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

Network = Literal["alex", "squeeze", "vgg"]


class LpipsError(ValueError):
    """The network that LPIPS needs cannot be had."""


def load_lpips(network: Network) -> Callable[[npt.NDArray[np.uint8], npt.NDArray[np.uint8]], float]:
    """Return the distance of two pictures u8 [H, W, 3], RGB, both edges at least 32: 0 for the same, below about 1.

    torchmetrics has the weights of the distance, torchvision those of AlexNet, SqueezeNet or VGG16: it looks for their
    file in the folder `checkpoints` of `torch.hub.get_dir()`, and fetches it once. Raises `LpipsError`.
    """
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    # A file of weights is never unpickled, as torchvision would do: it could run anything.
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    try:
        metric = LearnedPerceptualImagePatchSimilarity(network, normalize=True)
    except (OSError, HTTPException, RuntimeError, EOFError, UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        folder = os.path.join(torch.hub.get_dir(), "checkpoints")
        raise LpipsError(
            f"LPIPS: torchvision's weights of {network} are not in {folder} nor to be had ({reason})"
        ) from None

    def distance(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> float:
        first, second = (torch.from_numpy(each.copy()).permute(2, 0, 1)[None] / 255 for each in (one, other))
        with torch.no_grad():
            # The metric itself keeps a state, and photos are measured by several threads at once.
            return float(metric.net(first, second, normalize=True))

    return distance

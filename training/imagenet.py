"""ImageNet weights to begin with, as the original study did."""

from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torchvision.models import ResNet18_Weights

from .checkpoint import CheckpointError
from .model import Recognizer

# In place of a file of weights: let torchvision fetch them.
DOWNLOAD = Path("download")


def load_backbone(path: Path, model: Recognizer) -> None:
    """Put torchvision's ResNet-18 weights, a safetensors file of its state dict, into a recognizer's backbone.

    Where `path` is `DOWNLOAD`, torchvision fetches them, once, into the folder where it keeps such files. The layers
    that follow the last feature map are the recognizer's own and stay. Raises `CheckpointError`.
    """
    try:
        given = _download() if path == DOWNLOAD else load_file(path)
        weights = {name: value for name, value in given.items() if not name.startswith("fc.")}
        missing = model.backbone.load_state_dict(weights, strict=False).missing_keys
    except (SafetensorError, OSError, RuntimeError) as error:
        raise CheckpointError(f"{path}: no ResNet-18 weights as safetensors ({str(error).splitlines()[0]})") from None
    own = ("fc.", "avgpool.")
    if wrong := [name for name in missing if not name.startswith(own) and "num_batches" not in name]:
        raise CheckpointError(f"{path}: no weights of {wrong[0]}; it should hold torchvision's ResNet-18")


def _download() -> dict[str, Tensor]:
    source = ResNet18_Weights.IMAGENET1K_V1
    try:
        # A file of weights is never unpickled: it could run anything.
        found: dict[str, Tensor] = source.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, HTTPException, RuntimeError, EOFError, UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{source.url}: cannot be had ({reason}); or name a safetensors file of it") from None
    return found

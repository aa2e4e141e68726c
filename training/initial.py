"""The weights that a run begins with, and how they come back into its result."""

from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError

import torch
import torch.nn.functional as F  # noqa: N812
from accelerate import Accelerator
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torchvision.models import ResNet18_Weights

from .batches import Batches
from .checkpoint import CheckpointError, load_checkpoint
from .config import Config
from .model import Recognizer

# In place of a file of weights: let torchvision fetch them.
DOWNLOAD = Path("download")


def initial_recognizer(config: Config, classes: list[str], batches: Batches, accelerator: Accelerator) -> Recognizer:
    """Build a recognizer of random weights, or of those that the configuration names. Raises `CheckpointError`."""
    model = Recognizer(len(classes))
    if config.imagenet:
        with accelerator.main_process_first():
            load_backbone(config.imagenet, model)
    if config.init:
        model.load_state_dict(_known_weights(config.init, classes), strict=False)
    elif batches.targets is not None:
        # Where the teacher sees an identity is where the recognizer will learn to see it.
        with torch.no_grad():
            for number in range(len(classes)):
                mean = batches.targets[batches.labels == number].mean(0)
                model.identities[number] = F.pad(mean, (0, model.identities.shape[1] - len(mean)))
    return model


def average(model: Recognizer, checkpoint: Path, classes: list[str], part: float) -> None:
    """Make so much of a recognizer's weights those of a checkpoint, as far as it knows them. `part` is in [0, 1]."""
    initial = _known_weights(checkpoint, classes)
    for name, value in model.state_dict().items():
        if name in initial and value.is_floating_point():
            value.lerp_(initial[name].to(value), part)


def _known_weights(checkpoint: Path, classes: list[str]) -> dict[str, Tensor]:
    """Read a checkpoint's weights, without those of other classes."""
    model, description = load_checkpoint(checkpoint)
    weights: dict[str, Tensor] = model.state_dict()
    if description.classes != classes:
        del weights["identities"]
    return weights


def load_backbone(path: Path, model: Recognizer) -> None:
    """Put torchvision's ResNet-18 weights, a safetensors file of its state dict, into a recognizer's backbone.

    Where `path` is `DOWNLOAD`, torchvision fetches them, once, into the folder where it keeps such files. The layers
    that follow the last feature map are the recognizer's own and stay. Raises `CheckpointError`.
    """
    try:
        state = _download() if path == DOWNLOAD else load_file(path)
        weights = {name: value for name, value in state.items() if not name.startswith("fc.")}
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

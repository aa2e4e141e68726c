"""The checkpoint: a recognizer's weights and what it says of itself, as one safetensors file."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .model import Recognizer

FORMAT = "face-encryption-checkpoint-3"


class CheckpointError(ValueError):
    """A checkpoint file that is missing, damaged or of another format."""


@dataclass
class Description:
    """What a checkpoint says of itself; written into its metadata and from there into the artifacts.

    `input_size` is in pixels, `mean` and `std` are per RGB channel on the scale [0, 1], `crop_margin` is the part of
    the longer box edge that the square cut adds on each side, `thresholds` maps a false accept rate to the cosine
    similarity above which two faces count as one person and `true_accept_rates` to the share of pairs of one person
    above it, `accuracy` is top-1 on the test list, `training_accuracy` on plain views of the training photos (0 if
    older), `minutes` is how long the epochs took, `training_data` what the data set is called.
    """

    classes: list[str]
    input_size: int = 224
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    crop_margin: float = 0.1
    thresholds: dict[str, float] = field(default_factory=dict)
    true_accept_rates: dict[str, float] = field(default_factory=dict)
    accuracy: float = 0.0
    training_accuracy: float = 0.0
    minutes: float = 0.0
    training_data: str = ""
    licence: str = "Apache-2.0"
    recipe: str = ""


def normalize(image: Tensor, description: Description) -> Tensor:
    """Turn float [B, 3, N, N] in [0, 1] into what the recognizer takes."""
    mean = torch.tensor(description.mean, device=image.device).view(3, 1, 1)
    std = torch.tensor(description.std, device=image.device).view(3, 1, 1)
    return (image - mean) / std


def as_written(model: Recognizer) -> Recognizer:
    """Return what reading a model's checkpoint gives: float32 on the CPU in eval mode, of weights rounded to fp16."""
    written = Recognizer(len(model.identities), model.scale)
    written.load_state_dict({name: value.float() for name, value in _weights(model).items()}, strict=False)
    return written.eval()


def save_checkpoint(path: Path, model: Recognizer, description: Description) -> None:
    """Write weights and description as one safetensors file, whole or not at all; floats as fp16."""
    metadata = {"format": FORMAT, "scale": str(model.scale), "description": json.dumps(asdict(description))}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    save_file(_weights(model), partial, metadata)
    partial.replace(path)


def _weights(model: Recognizer) -> dict[str, Tensor]:
    return {
        name: (value.half() if value.is_floating_point() else value).contiguous().cpu()
        for name, value in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def load_checkpoint(path: Path) -> tuple[Recognizer, Description]:
    """Read a checkpoint into a float32 recognizer in eval mode and its description.

    Raises `CheckpointError` for a file that is missing, no safetensors file, or not written by `save_checkpoint`.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise CheckpointError(f"{path}: not a {FORMAT} file; train one with: face-encryption train")
            weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a readable safetensors file ({error})") from None
    description = Description(**json.loads(metadata["description"]))
    model = Recognizer(len(description.classes), float(metadata["scale"]))
    missing, unexpected = model.load_state_dict(weights, strict=False)
    wrong = [*unexpected, *(name for name in missing if not name.endswith("num_batches_tracked"))]
    if wrong:
        raise CheckpointError(f"{path}: weights do not fit the recognizer, first at {wrong[0]}")
    return model.eval(), description

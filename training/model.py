"""The recognizer that is attacked: ResNet-18, a 512-d embedding and a class head, and its checkpoint file."""

import json
from dataclasses import asdict, dataclass, field
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError

import torch
import torch.nn.functional as F  # noqa: N812
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision.models import ResNet18_Weights, resnet18

EMBEDDING_SIZE = 512
# In place of a file of ImageNet weights: let torchvision fetch them.
DOWNLOAD = Path("download")
FORMAT = "face-encryption-checkpoint-3"
# The last feature map is averaged down to this many places each way; a smaller one is refused.
PLACES = 4
SMALLEST_INPUT = 97


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


class Places(nn.Module):
    """Average the feature map down to 4x4 places: where something is tells faces apart, and one average forgets it."""

    def forward(self, features: Tensor) -> Tensor:
        """Pool [B, C, N, N], N at least 4, to [B, C, 4, 4]; the windows overlap where 4 does not divide N."""
        stride = features.shape[-1] // PLACES
        return F.avg_pool2d(features, features.shape[-1] - (PLACES - 1) * stride, stride)


class Recognizer(nn.Module):
    """ResNet-18 (He et al. 2016, arXiv:1512.03385) with an embedding and a cosine class head.

    The class head is a cosine classifier (NormFace, Wang et al. 2017, arXiv:1704.06369): the same angle decides the
    class and the similarity of two photos, so an attack on the label also moves the embedding.
    """

    def __init__(self, classes: int, scale: float = 64.0) -> None:
        """Random initial weights for `classes` identities; `scale` is the inverse temperature of the class logits."""
        super().__init__()
        self.backbone = resnet18()
        # A fully connected layer over all channels of all places (ArcFace, arXiv:1801.07698) would be a third of the
        # file; with fewer channels it weighs what one over 2x2 places would.
        channels = 128
        reduced = nn.Conv2d(self.backbone.fc.in_features, channels, 1, bias=False)
        self.backbone.avgpool = nn.Sequential(Places(), reduced, nn.BatchNorm2d(channels))
        self.backbone.fc = nn.Linear(PLACES * PLACES * channels, EMBEDDING_SIZE)
        self.neck = nn.BatchNorm1d(EMBEDDING_SIZE)
        # Without a bias the embeddings of all faces centre on zero (BNNeck, Luo et al. 2019, arXiv:1903.07071), so
        # that they cannot all lie in one narrow cone, where similarity tells nothing.
        self.neck.bias.requires_grad_(False)
        self.identities = nn.Parameter(torch.randn(classes, EMBEDDING_SIZE) * 0.01)
        self.scale = scale

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Embed and classify normalised images.

        `image` is float [B, 3, N, N], N at least 97, (pixel / 255 - mean) / std, RGB. Returns the embedding [B, 512]
        of unit norm and the class logits [B, classes] in [-scale, scale].
        """
        embedding = F.normalize(self.neck(self.backbone(image)))
        return embedding, self.scale * F.linear(embedding, F.normalize(self.identities))


def identity_loss(logits: Tensor, labels: Tensor, margin: float = 0.0) -> Tensor:
    """Sum the cross-entropies of class logits [B, classes], in which that of the right class counts `margin` less.

    `labels` i64 [B] are numbers of classes, or -1 for a face that does not count. CosFace (Wang et al. 2018,
    arXiv:1801.09414), whose margin is one of cosines: give it times the scale of the logits.
    """
    right = F.one_hot(labels.clamp(min=0), logits.shape[1])
    return F.cross_entropy(logits - margin * right, labels, ignore_index=-1, reduction="sum")


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


def as_written(model: Recognizer) -> Recognizer:
    """Return what reading a model's checkpoint gives: float32 on the CPU in eval mode, of weights rounded to fp16."""
    written = Recognizer(len(model.identities), model.scale)
    written.load_state_dict({name: value.float() for name, value in _weights(model, True).items()}, strict=False)
    return written.eval()


def save_checkpoint(path: Path, model: Recognizer, description: Description, *, half: bool = True) -> None:
    """Write weights and description as one safetensors file, whole or not at all; floats as fp16 when `half`."""
    metadata = {"format": FORMAT, "scale": str(model.scale), "description": json.dumps(asdict(description))}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    save_file(_weights(model, half), partial, metadata)
    partial.replace(path)


def _weights(model: Recognizer, half: bool) -> dict[str, Tensor]:
    return {
        name: (value.half() if half and value.is_floating_point() else value).contiguous().cpu()
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

"""How good a recognizer is: accuracy on a test list, and verification thresholds on pairs of strangers."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from face_encryption.training.augment import view
from face_encryption.training.faces import FaceSet
from face_encryption.training.model import Description, Recognizer


def normalise(image: Tensor, description: Description) -> Tensor:
    """Turn float [B, 3, N, N] in [0, 1] into what the recognizer takes."""
    mean = torch.tensor(description.mean).view(3, 1, 1)
    std = torch.tensor(description.std).view(3, 1, 1)
    return (image - mean) / std


def outputs(model: Recognizer, faces: FaceSet, description: Description) -> tuple[Tensor, Tensor]:
    """Embed and classify every face of a set, unaugmented: [M, 512] and [M, classes]."""
    model.eval()
    with torch.no_grad():
        parts = [model(normalise(batch, description)) for batch in _batches(faces, description)]
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


def _batches(faces: FaceSet, description: Description) -> Iterator[Tensor]:
    for start in range(0, len(faces.faces), 64):
        batch = torch.from_numpy(faces.faces[start : start + 64].copy())
        yield view(batch, description.input_size, description.crop_margin)


def accuracy(model: Recognizer, faces: FaceSet, description: Description) -> float:
    """Top-1 accuracy in [0, 1] over faces of known identities."""
    logits = outputs(model, faces, description)[1]
    labels = torch.tensor([description.classes.index(name) for name in faces.names])
    return float((logits.argmax(1) == labels).float().mean())


def similarities(model: Recognizer, faces: FaceSet, description: Description) -> tuple[Tensor, Tensor]:
    """Cosine similarities of all pairs of faces: those of one person, and those of different people."""
    embeddings = outputs(model, faces, description)[0]
    index = {name: number for number, name in enumerate(dict.fromkeys(faces.names))}
    person = torch.tensor([index[name] for name in faces.names])
    cosine = embeddings @ embeddings.T
    pair = torch.ones_like(cosine, dtype=torch.bool).triu(1)
    same = person[:, None] == person[None]
    return cosine[pair & same], cosine[pair & ~same]


def thresholds(impostor: Tensor, rates: tuple[float, ...] = (0.01, 0.001)) -> dict[str, float]:
    """Map each false accept rate to the similarity that this part of the impostor pairs reaches."""
    ordered = impostor.sort(descending=True).values
    return {str(rate): round(float(ordered[max(math.ceil(rate * len(ordered)) - 1, 0)]), 4) for rate in rates}

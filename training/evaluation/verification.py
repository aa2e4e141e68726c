"""How good a recognizer is: accuracy on a test list, and verification on pairs of people nobody learned from."""

import csv
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..checkpoint import Description, normalize
from ..data.augment import plain_view
from ..data.faces import FaceSet
from ..model import Recognizer

# All pairs of so many faces fit into memory; of larger sets the first people count.
MOST_FACES = 5000


def outputs(model: Recognizer, faces: FaceSet, description: Description) -> tuple[Tensor, Tensor]:
    """Embed and classify every face of a set, unaugmented: [M, 512] and [M, classes]."""
    model.eval()
    device = next(model.parameters()).device
    with torch.no_grad():
        parts = [model(normalize(batch, description)) for batch in _batches(faces, description, device)]
    return torch.cat([part[0] for part in parts]).cpu(), torch.cat([part[1] for part in parts]).cpu()


def _batches(faces: FaceSet, description: Description, device: torch.device) -> Iterator[Tensor]:
    for start in range(0, len(faces.faces), 64):
        batch = torch.from_numpy(faces.faces[start : start + 64].copy()).to(device)
        yield plain_view(batch, description.input_size, description.crop_margin)


def accuracy(model: Recognizer, faces: FaceSet, description: Description) -> float:
    """Top-1 accuracy in [0, 1] over faces of known identities."""
    answers = predict_names(model, faces, description)
    return sum(answer == name for answer, name in zip(answers, faces.names, strict=True)) / len(answers)


def predict_names(model: Recognizer, faces: FaceSet, description: Description) -> list[str]:
    """Name the identity that the recognizer sees in each face."""
    return [description.classes[i] for i in outputs(model, faces, description)[1].argmax(1).tolist()]


def similarities(model: Recognizer, faces: FaceSet, description: Description) -> tuple[Tensor, Tensor]:
    """Cosine similarities of all pairs of at most `MOST_FACES`: those of one person, and those of different people."""
    index = {name: number for number, name in enumerate(dict.fromkeys(faces.names))}
    person = torch.tensor([index[name] for name in faces.names])
    kept = person.argsort(stable=True)[:MOST_FACES]
    embeddings, person = outputs(model, faces, description)[0][kept], person[kept]
    cosine = embeddings @ embeddings.T
    pair = torch.ones_like(cosine, dtype=torch.bool).triu(1)
    same = person[:, None] == person[None]
    return cosine[pair & same], cosine[pair & ~same]


def thresholds(impostor: Tensor, rates: tuple[float, ...] = (0.01, 0.001)) -> dict[str, float]:
    """Map each false accept rate to the similarity that this part of the impostor pairs reaches."""
    ordered = impostor.sort(descending=True).values
    return {str(rate): round(float(ordered[max(math.ceil(rate * len(ordered)) - 1, 0)]), 4) for rate in rates}


def true_accept_rate(same: Tensor, threshold: float) -> float:
    """Return the share of pairs of one person, by their similarities, that reach a threshold."""
    return float((same >= threshold).float().mean())


@dataclass
class Verification:
    """How well pairs of one person are told from others.

    `thresholds` and `rates` map a false accept rate to the threshold there and to the true accept rate; `same` and
    `impostor` are the similarities of the pairs.
    """

    thresholds: dict[str, float]
    rates: dict[str, float]
    same: Tensor
    impostor: Tensor


def verify(model: Recognizer, people: FaceSet, description: Description) -> Verification:
    """Set the thresholds on all pairs of faces of different people, and measure those of one person at them.

    Where there are no such pairs, there are no thresholds or no rates.
    """
    same, impostor = similarities(model, people, description)
    by_rate = thresholds(impostor) if len(impostor) else {}
    rates = {rate: true_accept_rate(same, threshold) for rate, threshold in by_rate.items() if len(same)}
    return Verification(by_rate, rates, same, impostor)


@dataclass
class Report:
    """What `evaluate recognizer` measured.

    `identities` holds for each identity its name, the number of its faces, how many were recognized, and for whom the
    others were taken most often; the worst come first.
    """

    accuracy: float
    identities: list[tuple[str, int, int, str]]
    verification: Verification

    def write(self, path: Path) -> None:
        """Write the identities as CSV."""
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["identity", "faces", "recognized", "mostly taken for"])
            writer.writerows(self.identities)


def evaluate(model: Recognizer, description: Description, test: FaceSet, held_out: FaceSet) -> Report:
    """Measure accuracy on faces of known identities, and verification on all pairs of held-out faces."""
    answers = predict_names(model, test, description)
    right = Counter(name for name, answer in zip(test.names, answers, strict=True) if name == answer)
    wrong: dict[str, Counter[str]] = {name: Counter() for name in test.names}
    for name, answer in zip(test.names, answers, strict=True):
        if name != answer:
            wrong[name][answer] += 1
    rows = [
        (name, count, right[name], wrong[name].most_common(1)[0][0] if wrong[name] else "")
        for name, count in Counter(test.names).items()
    ]
    rows.sort(key=lambda row: (row[2] / row[1], -row[1], row[0]))
    return Report(sum(right.values()) / len(answers), rows, verify(model, held_out, description))

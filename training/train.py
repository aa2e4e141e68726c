"""Train a recognizer on a folder-per-identity data set.

The checkpoint in `models/` was made by the commands in `models/README.md`.
"""

import csv
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from rich.progress import Progress
from torch import Tensor

from face_encryption.training.augment import cut_scale, view
from face_encryption.training.evaluate import accuracy, normalise, similarities, thresholds
from face_encryption.training.faces import DataError, FaceSet, list_photos, load_faces, read_list
from face_encryption.training.model import Description, Recognizer, load_checkpoint, save_checkpoint


@dataclass
class Config:
    """Everything that decides a training run; printed at its start and kept in the checkpoint as its recipe.

    `pairs` lists photos of people ("probe gallery" a line) who are kept out of training and on whom the thresholds are
    set. With a `teacher` every photo below `data` that is in no test list and of no such person is embedded by it, and
    the recognizer learns to agree (knowledge distillation, arXiv:1503.02531). `teacher_weight` weighs that loss.
    """

    data: Path
    train_list: Path | None = None
    test_list: Path | None = None
    pairs: Path | None = None
    detector: Path = Path("artifacts/detector.onnx")
    teacher: Path | None = None
    teacher_weight: float = 20.0
    init: Path | None = None
    out: Path = Path("runs/recognizer.safetensors")
    cache: Path = Path("cache")
    input_size: int = 224
    epochs: int = 25
    batch: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    seed: int = 0


def split_identities(photos: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split a data set without lists: of each identity, every fourth photo is for the test, at least one trains."""
    train: list[str] = []
    test: list[str] = []
    seen: dict[str, int] = {}
    for photo in photos:
        name = photo.split("/")[0]
        seen[name] = seen.get(name, 0) + 1
        (test if seen[name] % 4 == 0 else train).append(photo)
    return train, test


@dataclass
class Data:
    """The sets of faces of a run: `extra` has faces for the teacher alone, `strangers` are of nobody trained on."""

    train: FaceSet
    test: FaceSet
    extra: FaceSet | None
    strangers: FaceSet | None


def load_data(config: Config, margin: float) -> Data:
    """Cut and cache all faces that a run needs. Raises `DataError`."""
    photos = list_photos(config.data)
    train, test = split_identities(photos)
    if config.train_list and config.test_list:
        train, test = read_list(config.train_list, config.data), read_list(config.test_list, config.data)
    strangers: list[str] = []
    if config.pairs:
        strangers = sorted({photo for line in config.pairs.read_text().splitlines() for photo in line.split()})
    size = round(config.input_size / cut_scale(margin))

    def load(photos: Sequence[str], teacher: Path | None = None) -> FaceSet:
        return load_faces(config.data, photos, config.detector, config.cache, size, teacher)

    known = {photo.split("/")[0] for photo in [*train, *test, *strangers]}
    extra = [photo for photo in photos if photo.split("/")[0] not in known] if config.teacher else []
    return Data(
        load(train, config.teacher),
        load(test),
        load(extra, config.teacher) if extra else None,
        load(strangers) if strangers else None,
    )


def learning_rates(config: Config, steps: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the rate of every step: a linear rise over 5 % of them, then half a cosine down to zero."""
    step = np.arange(steps)
    rise = np.minimum(1, (step + 1) / max(1, 0.05 * steps))
    return np.asarray(config.learning_rate * rise * 0.5 * (1 + np.cos(np.pi * step / steps)))


class Trainer:
    """The state of a run and its loop; `fit` continues where an interrupted run of the same configuration stopped."""

    def __init__(self, config: Config, data: Data, description: Description) -> None:
        """Build the recognizer, from `config.init` when given, and its optimiser."""
        torch.manual_seed(config.seed)
        self.config, self.data, self.description = config, data, description
        self.model = Recognizer(len(description.classes))
        if config.init:
            initial, before = load_checkpoint(config.init)
            weights = initial.state_dict()
            if before.classes != description.classes:
                del weights["identities"]
            self.model.load_state_dict(weights, strict=False)
        self.model.to(memory_format=torch.channels_last)
        self.optimiser = torch.optim.AdamW(self.model.parameters(), weight_decay=config.weight_decay)
        sets = [data.train, *([data.extra] if data.extra else [])]
        self.faces = [torch.from_numpy(np.asarray(faces.faces)) for faces in sets]
        index = {name: number for number, name in enumerate(description.classes)}
        self.labels = torch.tensor([index.get(name, -1) for faces in sets for name in faces.names])
        embeddings = [faces.teacher for faces in sets if faces.teacher is not None]
        self.targets = torch.from_numpy(np.concatenate(embeddings)) if embeddings else None
        self.epoch = 0
        self.state_path = config.out.with_suffix(".resume.pt")

    def loss(self, picked: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the loss of a random view of the picked faces, and the share of known ones that were recognised."""
        first = len(self.faces[0])
        batch = torch.stack([self.faces[0][i] if i < first else self.faces[1][i - first] for i in picked.tolist()])
        image = normalise(
            view(batch, self.description.input_size, self.description.crop_margin, generator), self.description
        )
        embedding, logits = self.model(image.contiguous(memory_format=torch.channels_last))
        labels = self.labels[picked]
        known = labels >= 0
        loss = F.cross_entropy(logits, labels, ignore_index=-1) if known.any() else logits.sum() * 0
        if self.targets is not None:
            # Padding with zeros keeps the teacher's angles: the 512-d similarity learns to equal the teacher's.
            target = F.pad(self.targets[picked], (0, embedding.shape[1] - self.targets.shape[1]))
            loss = loss + self.config.teacher_weight * (1 - (embedding * target).sum(1)).mean()
        return loss, (logits.argmax(1)[known] == labels[known]).float().sum() / known.sum().clamp(min=1)

    def fit(self) -> None:
        """Train to the last epoch, saving the state and a line of history after each."""
        config = self.config
        batches = len(self.labels) // config.batch or 1
        rates = learning_rates(config, config.epochs * batches)
        self.resume()
        with Progress() as progress:
            task = progress.add_task("training", total=len(rates), completed=self.epoch * batches)
            while self.epoch < config.epochs:
                # Seeding by epoch makes a resumed run draw the views that an uninterrupted one would have drawn.
                generator = torch.Generator().manual_seed(config.seed * 100_003 + self.epoch)
                order = torch.randperm(len(self.labels), generator=generator)
                self.model.train()
                losses, hits, start = [], [], time.perf_counter()
                for number in range(batches):
                    for group in self.optimiser.param_groups:
                        group["lr"] = float(rates[self.epoch * batches + number])
                    picked = order[number * config.batch : (number + 1) * config.batch]
                    loss, hit = self.loss(picked, generator)
                    self.optimiser.zero_grad()
                    loss.backward()  # type: ignore[no-untyped-call]
                    self.optimiser.step()
                    losses.append(loss.item())
                    hits.append(hit.item())
                    progress.update(task, advance=1, description=f"epoch {self.epoch + 1} loss {losses[-1]:.3f}")
                self.epoch += 1
                self.record(float(np.mean(losses)), float(np.mean(hits)), time.perf_counter() - start)
                self.save_state()

    def record(self, loss: float, train_accuracy: float, seconds: float) -> None:
        """Append the epoch to the history CSV beside the checkpoint, with the accuracy on the test list.

        The test list chooses nothing: the recipe's last epoch is the result.
        """
        path = self.config.out.with_suffix(".csv")
        row = {
            "epoch": self.epoch,
            "loss": round(loss, 4),
            "train_accuracy": round(train_accuracy, 4),
            "test_accuracy": round(accuracy(self.model, self.data.test, self.description), 4),
            "seconds": round(seconds, 1),
        }
        new = self.epoch == 1 or not path.exists()
        with path.open("w" if new else "a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)
        print(row)

    def save_state(self) -> None:
        """Keep all that a killed run needs to go on, whole or not at all."""
        partial = self.state_path.with_name(self.state_path.name + ".partial")
        state = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "epoch": self.epoch,
            "config": recipe(self.config),
        }
        torch.save(state, partial)
        partial.replace(self.state_path)

    def resume(self) -> None:
        """Load the state of an interrupted run, if there is one of this very configuration."""
        if self.state_path.exists():
            state = torch.load(self.state_path, weights_only=True)
            if state["config"] == recipe(self.config):
                self.model.load_state_dict(state["model"])
                self.optimiser.load_state_dict(state["optimiser"])
                self.epoch = state["epoch"]
                print(f"continuing after epoch {self.epoch}")


def recipe(config: Config) -> str:
    """Describe a configuration in one line of JSON, with file names in place of paths."""
    return json.dumps({k: v.name if isinstance(v, Path) else v for k, v in vars(config).items()})


def train(config: Config) -> Description:
    """Train a recognizer and write its checkpoint to `config.out`; returns the description that it holds."""
    config.out.parent.mkdir(parents=True, exist_ok=True)
    description = Description([], config.input_size, recipe=recipe(config), training_data=config.data.name)
    data = load_data(config, description.crop_margin)
    description.classes = sorted(set(data.train.names))
    strangers = sorted(set(data.test.names) - set(description.classes))
    if strangers:
        raise DataError(f"the test list has {strangers[0]}, who is not in the training list")
    trainer = Trainer(config, data, description)
    trainer.fit()
    description.accuracy = round(accuracy(trainer.model, data.test, description), 4)
    same, impostor = similarities(trainer.model, data.strangers or data.test, description)
    description.thresholds = thresholds(impostor)
    for rate, threshold in description.thresholds.items():
        print(f"FAR {rate}: threshold {threshold}, TAR {float((same >= threshold).float().mean()):.4f}")
    save_checkpoint(config.out, trainer.model, description)
    print(f"{config.out}: test accuracy {description.accuracy:.4f}")
    return description

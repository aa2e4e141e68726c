"""The training loop, and how an interrupted run goes on."""

import json
import time
from collections.abc import Callable
from itertools import compress

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from accelerate import Accelerator
from numpy.typing import NDArray
from rich.progress import Progress
from torch import Tensor

from .batches import Batches, Draw
from .checkpoint import Description, normalize
from .config import Config, Data
from .data.augment import random_view
from .data.faces import digest
from .distill.losses import cosine_loss, relational_loss, turn_targets
from .evaluation.verification import accuracy, outputs
from .history import History
from .initial import average, initial_recognizer
from .muon import Muon
from .parallel import share_statistics
from .threads import ahead

# Gradients have a norm of 10 to 20 in most of the default recipe's steps and of some hundreds in the first. A run
# without a limit saw its loss leap at a high learning rate.
LARGEST_GRADIENT = 10.0
# While a GPU learns from a batch, so many threads read and damage the next ones.
READERS = 6


def learning_rates(peak: float, steps: int) -> NDArray[np.float64]:
    """Return the rate of every step: a linear rise over 5 % of them, then half a cosine down to zero."""
    step = np.arange(steps)
    rise = np.minimum(1, (step + 1) / max(1, 0.05 * steps))
    return np.asarray(peak * rise * 0.5 * (1 + np.cos(np.pi * step / steps)))


def no_worse(accuracy: float, best: float, photos: int) -> bool:
    """Whether an accuracy on so many photos lies within one standard error of the best so far, or above it.

    Of epochs that so few photos cannot tell apart, the last has the smallest learning rate and has seen most (the rule
    of one standard error, Breiman et al. 1984).
    """
    return bool(accuracy >= best - np.sqrt(max(best * (1 - best), 0) / photos))


class Trainer:
    """The state of a run and its loop; `fit` continues where an interrupted run of the same configuration stopped."""

    def __init__(self, config: Config, data: Data, description: Description, accelerator: Accelerator) -> None:
        """Build the recognizer, from given weights where there are some. Raises `CheckpointError`."""
        torch.manual_seed(config.seed)
        self.config, self.data, self.description, self.accelerator = config, data, description, accelerator
        self.batches = Batches(data, description.classes, config.recipe, accelerator)
        recognizer = initial_recognizer(config, description.classes, self.batches, accelerator)
        self.recognizer = recognizer.to(accelerator.device).to(memory_format=torch.channels_last)
        self.targets = self.batches.targets
        if config.init and self.targets is not None:
            self.targets = turn_targets(self.targets, outputs(self.recognizer, data.train, description)[0])
        # Those that every batch is compared with: the photos, which come first.
        self.bank = None if self.targets is None else self.targets[: self.batches.photos].to(accelerator.device)
        if accelerator.num_processes > 1:
            share_statistics(self.recognizer)
        self.model, *self.optimizers = accelerator.prepare(self.recognizer, *self._optimizers())
        self.epoch, self.seconds, self.best_accuracy = 0, 0.0, -1.0
        self.best: dict[str, Tensor] = {}
        self.state_path = config.out.with_suffix(".resume.pt")
        # Only a run of the same configuration, photos, teachers and initial weights goes on from a state.
        digests = [digest(path) for path in (config.init, config.imagenet) if path]
        self.made_from = json.dumps([config.summary(), self.batches.keys, digests])

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        recipe, weights = self.config.recipe, list(self.recognizer.parameters())
        if not recipe.muon:
            return [torch.optim.AdamW(weights, weight_decay=recipe.weight_decay)]
        # Identities are directions that embeddings are compared with, not a map from one layer to the next.
        is_matrix = [weight.ndim > 1 and weight is not self.recognizer.identities for weight in weights]
        is_other = [not matrix for matrix in is_matrix]
        return [
            torch.optim.AdamW(compress(weights, is_other), weight_decay=recipe.weight_decay),
            Muon(compress(weights, is_matrix), recipe.muon, recipe.weight_decay),
        ]

    def loss(self, batch: Tensor, faces: Tensor, draw: Draw) -> tuple[Tensor, Tensor]:
        """Return the loss of random views of a batch's faces, and the share of known ones that were recognized.

        `faces` and `draw` are what `Batches.gather` returned for the batch. What a process returns is weighted so that
        the mean over all processes is the batch's, however the known faces fall on them.
        """
        recipe, processes, device = self.config.recipe, self.accelerator.num_processes, self.accelerator.device
        numbers, known_each = self.batches.part(batch), int((self.batches.labels[batch] >= 0).sum()) / processes
        weight = len(numbers) * processes / len(batch)
        view = random_view(faces.to(device, non_blocking=True), recipe.input_size, recipe, draw)
        image = normalize(view, self.description).contiguous(memory_format=torch.channels_last)
        embedding, logits = self.model(image)
        labels = self.batches.labels[numbers].to(device)
        loss = logits.sum() * 0  # every weight has a gradient in every step, as data-parallel training wants
        if recipe.identity and known_each:
            total = F.cross_entropy(logits, labels, ignore_index=-1, reduction="sum")
            loss = loss + recipe.identity * (total / known_each)
        if self.targets is not None and self.bank is not None:
            target = self.targets[numbers].to(device)
            loss = loss + weight * recipe.cosine * cosine_loss(embedding, target)
            loss = loss + weight * recipe.relational * relational_loss(embedding, target, self.bank)
        hits = (logits.argmax(1) == labels).float().sum()
        return loss, hits / known_each if known_each else hits

    def fit(self) -> None:
        """Train to the last epoch, saving the state and a line of history after each; keep the best one's weights."""
        self.resume()
        recipe, steps = self.config.recipe, len(self.batches)
        history = History(self.config.out, self.accelerator, self.epoch)
        rates = learning_rates(recipe.learning_rate, recipe.epochs * steps).reshape(recipe.epochs, steps)
        with Progress(disable=not self.accelerator.is_main_process) as progress:
            task = progress.add_task("training", total=rates.size, completed=self.epoch * steps)

            def advance(loss: float) -> None:
                progress.update(task, advance=1, description=f"epoch {self.epoch + 1} loss {loss:.3f}")

            while self.epoch < recipe.epochs:
                start = time.perf_counter()
                loss, hits = self._train_epoch(rates[self.epoch], advance)
                self.epoch += 1
                seconds = time.perf_counter() - start
                self.seconds += seconds
                validation = self._validate()
                row: dict[str, float | str] = {
                    "epoch": self.epoch,
                    "loss": round(loss, 4),
                    "train_accuracy": round(hits, 4),
                    "validation_accuracy": "" if validation is None else round(validation, 4),
                    "seconds": round(seconds, 1),
                }
                history.add(row, last=self.epoch == recipe.epochs)
                self.save_state()
        if self.best:
            self.recognizer.load_state_dict(self.best)
        if recipe.average and self.config.init:
            average(self.recognizer, self.config.init, self.description.classes, recipe.average)

    def _train_epoch(self, rates: NDArray[np.float64], advance: Callable[[float], None]) -> tuple[float, float]:
        """Go once through the faces; returns the mean loss and the share of known faces recognized."""
        # Seeding by epoch makes a resumed run draw the views that an uninterrupted one would have drawn.
        order, *seeds = np.random.SeedSequence([self.config.seed, self.epoch]).generate_state(len(rates) + 1).tolist()
        batches = self.batches.draw(order)

        def gather(step: int) -> tuple[Tensor, Draw]:
            return self.batches.gather(batches[step], seeds[step])

        self.model.train()
        sums = torch.zeros(2, device=self.accelerator.device)
        readers = 0 if self.accelerator.device.type == "cpu" else READERS
        gathered = ahead(gather, range(len(rates)), readers)
        for rate, batch, (faces, draw) in zip(rates, batches, gathered, strict=True):
            loss, hit = self.loss(batch, faces, draw)
            self.model.zero_grad()
            self.accelerator.backward(loss)
            self.accelerator.clip_grad_norm_(self.model.parameters(), LARGEST_GRADIENT)
            for optimizer in self.optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = float(rate)
                optimizer.step()
            sums += torch.stack([loss.detach(), hit])
            advance(loss.item())
        mean = self.accelerator.reduce(sums, "mean") / len(rates)
        return float(mean[0]), float(mean[1])

    def _validate(self) -> float | None:
        """Return the accuracy on the validation photos, and remember the best epoch's weights.

        The best is the last whose accuracy is `no_worse` than the highest.
        """
        photos = self.data.validation
        validation = accuracy(self.recognizer, photos, self.description) if photos else None
        if photos is None or validation is None or no_worse(validation, self.best_accuracy, len(photos.names)):
            self.best_accuracy = max(self.best_accuracy, validation or 0.0)
            self.best = {key: value.detach().clone() for key, value in self.recognizer.state_dict().items()}
        return validation

    def save_state(self) -> None:
        """Keep all that a killed run needs to go on, whole or not at all."""
        if not self.accelerator.is_main_process:
            return
        partial = self.state_path.with_name(self.state_path.name + ".partial")
        state = {
            "made_from": self.made_from,
            "model": self.recognizer.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            **{name: getattr(self, name) for name in ("epoch", "seconds", "best_accuracy", "best")},
        }
        torch.save(state, partial)
        partial.replace(self.state_path)

    def resume(self) -> None:
        """Load the state of an interrupted run, if there is one of this very configuration."""
        if not self.state_path.exists():
            return
        state = torch.load(self.state_path, weights_only=True, map_location=self.accelerator.device)
        if state.pop("made_from", None) != self.made_from:
            return
        self.recognizer.load_state_dict(state.pop("model"))
        for optimizer, kept in zip(self.optimizers, state.pop("optimizers"), strict=True):
            optimizer.load_state_dict(kept)
        for name, value in state.items():
            setattr(self, name, value)
        self.accelerator.print(f"continuing after epoch {self.epoch}")

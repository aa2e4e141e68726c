"""Train a recognizer on a folder-per-identity data set, on one device or, under `torchrun`, on several.

    face-encryption export --detector-only
    face-encryption train LFW --teacher sface.onnx

The checkpoint in `models/` was made by the command in `models/README.md`, in the minutes that stand there.
"""

import csv
import json
import time
from collections.abc import Callable
from itertools import compress, pairwise

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from accelerate import Accelerator
from numpy.typing import NDArray
from rich.progress import Progress
from torch import Tensor

from .checkpoint import Description, as_written, load_checkpoint, save_checkpoint
from .config import Config, Data, load_data
from .data.augment import degraded, random_view
from .data.faces import digest
from .distill.losses import cosine_loss, fit_targets, relational_loss, turn_targets
from .evaluation.plots import plot_history
from .evaluation.verification import accuracy, normalise, outputs, verify
from .imagenet import load_backbone
from .model import EMBEDDING_SIZE, Recognizer
from .muon import Muon
from .parallel import share_statistics
from .threads import ahead

# Gradients have a norm of 10 to 20 in most of the default recipe's steps and of some hundreds in the first. A run
# without a limit saw its loss leap at a high learning rate.
LARGEST_GRADIENT = 10.0
# While a GPU learns from a batch, so many threads read and damage the next ones.
READERS = 6
# A plot of the history takes longer than a GPU's epoch, so it is drawn every so many seconds.
PLOT_SECONDS = 10.0

Draw = Callable[..., Tensor]


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
        sets = [faces for faces in (data.train, data.extra, data.morphs, data.attacked) if faces]
        self.faces = [torch.from_numpy(np.asarray(faces.faces)) for faces in sets]
        self.first = np.cumsum([0, *(len(faces) for faces in self.faces)])
        index = {name: number for number, name in enumerate(description.classes)}
        self.labels = torch.tensor([index.get(name, -1) for faces in sets for name in faces.names])
        # Morphs and attacked faces are nobody whom another face could resemble.
        self.photos = sum(len(faces.names) for faces in (data.train, data.extra) if faces)
        seen = [torch.from_numpy(faces.teacher) for faces in sets if faces.teacher is not None]
        self.targets = fit_targets(torch.cat(seen), EMBEDDING_SIZE) if seen else None
        self.recognizer = self._initial().to(accelerator.device).to(memory_format=torch.channels_last)
        if config.init and self.targets is not None:
            self.targets = turn_targets(self.targets, outputs(self.recognizer, data.train, description)[0])
        # Those that every batch is compared with: the photos, which come first.
        self.bank = None if self.targets is None else self.targets[: self.photos].to(accelerator.device)
        if accelerator.num_processes > 1:
            share_statistics(self.recognizer)
        self.model, *self.optimisers = accelerator.prepare(self.recognizer, *self._optimisers())
        self.epoch, self.seconds, self.best_accuracy = 0, 0.0, -1.0
        self.best: dict[str, Tensor] = {}
        self.plotted = 0.0
        self.state_path = config.out.with_suffix(".resume.pt")
        # Only a run of the same configuration, photos, teachers and initial weights goes on from a state.
        digests = [digest(path) for path in (config.init, config.imagenet) if path]
        self.made_from = json.dumps([config.summary(), [faces.key for faces in sets], digests])

    def _initial(self) -> Recognizer:
        classes = self.description.classes
        model = Recognizer(len(classes))
        if self.config.imagenet:
            with self.accelerator.main_process_first():
                load_backbone(self.config.imagenet, model)
        if self.config.init:
            initial, before = load_checkpoint(self.config.init)
            weights = initial.state_dict()
            if before.classes != classes:
                del weights["identities"]
            model.load_state_dict(weights, strict=False)
        elif self.targets is not None:
            # Where the teacher sees an identity is where the recognizer will learn to see it.
            with torch.no_grad():
                for number in range(len(classes)):
                    mean = self.targets[self.labels == number].mean(0)
                    model.identities[number] = F.pad(mean, (0, model.identities.shape[1] - len(mean)))
        return model

    def _optimisers(self) -> list[torch.optim.Optimizer]:
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

    def _part(self, batch: Tensor) -> Tensor:
        """Return what one process sees of what there is for each face of a batch."""
        return batch[self.accelerator.process_index :: self.accelerator.num_processes]

    def gather(self, batch: Tensor, seed: int) -> tuple[Tensor, Draw]:
        """Read this process's part of a batch, u8 [P, C, C, 3], some of the faces blurred or compressed.

        Also returns where the random numbers for its views come from, as `random_view` takes it. They are drawn for the
        whole batch, so that they do not depend on the number of processes.
        """
        generator = torch.Generator().manual_seed(seed)

        def draw(*shape: int) -> Tensor:
            return self._part(torch.rand(len(batch), *shape, generator=generator))

        picked = self._part(batch)
        places = np.searchsorted(self.first, picked.numpy(), side="right") - 1
        faces = torch.stack([self.faces[p][i - self.first[p]] for p, i in zip(places, picked.tolist(), strict=True)])
        damaged = degraded(faces, self.config.recipe.degrade, draw)
        return damaged.pin_memory() if self.accelerator.device.type == "cuda" else damaged, draw

    def loss(self, batch: Tensor, faces: Tensor, draw: Draw) -> tuple[Tensor, Tensor]:
        """Return the loss of random views of a batch's faces, and the share of known ones that were recognised.

        `faces` and `draw` are what `gather` returned for the batch. What a process returns is weighted so that the mean
        over all processes is the batch's, however the known faces fall on them.
        """
        recipe, processes, device = self.config.recipe, self.accelerator.num_processes, self.accelerator.device
        picked, known_each = self._part(batch), int((self.labels[batch] >= 0).sum()) / processes
        weight = len(picked) * processes / len(batch)
        view = random_view(faces.to(device, non_blocking=True), recipe.input_size, recipe, draw)
        image = normalise(view, self.description).contiguous(memory_format=torch.channels_last)
        embedding, logits = self.model(image)
        labels = self.labels[picked].to(device)
        loss = logits.sum() * 0  # every weight has a gradient in every step, as data-parallel training wants
        if recipe.identity and known_each:
            total = F.cross_entropy(logits, labels, ignore_index=-1, reduction="sum")
            loss = loss + recipe.identity * (total / known_each)
        if self.targets is not None and self.bank is not None:
            target = self.targets[picked].to(device)
            loss = loss + weight * recipe.cosine * cosine_loss(embedding, target)
            loss = loss + weight * recipe.relational * relational_loss(embedding, target, self.bank)
        hits = (logits.argmax(1) == labels).float().sum()
        return loss, hits / known_each if known_each else hits

    def fit(self) -> None:
        """Train to the last epoch, saving the state and a line of history after each; keep the best one's weights."""
        self.resume()
        # What an earlier run wrote of the epochs to come is not of this one.
        purge = {"tensorboard": {"purge_step": self.epoch + 1}}
        self.accelerator.init_trackers(self.config.out.stem, init_kwargs=purge)
        recipe, steps = self.config.recipe, self._steps()
        rates = learning_rates(recipe.learning_rate, recipe.epochs * steps).reshape(recipe.epochs, steps)
        with Progress(disable=not self.accelerator.is_main_process) as progress:
            task = progress.add_task("training", total=rates.size, completed=self.epoch * steps)

            def advance(loss: float) -> None:
                progress.update(task, advance=1, description=f"epoch {self.epoch + 1} loss {loss:.3f}")

            while self.epoch < recipe.epochs:
                start = time.perf_counter()
                loss, hits = self._train_epoch(rates[self.epoch], advance)
                self.epoch += 1
                self.seconds += time.perf_counter() - start
                self._record(loss, hits, time.perf_counter() - start)
                self.save_state()
        if self.best:
            self.recognizer.load_state_dict(self.best)
        if recipe.average and self.config.init:
            initial, described = load_checkpoint(self.config.init)
            begun = initial.state_dict()
            if described.classes != self.description.classes:
                del begun["identities"]
            for name, value in self.recognizer.state_dict().items():
                if name in begun and value.is_floating_point():
                    value.lerp_(begun[name].to(value), recipe.average)

    def _pool(self, generator: torch.Generator) -> Tensor:
        """Draw the faces of an epoch, in random order."""
        if not self.config.recipe.distilled:
            known = (self.labels >= 0).nonzero()[:, 0]
            return known[torch.randperm(len(known), generator=generator)]
        every = [torch.arange(self.photos)]
        for begin, end in pairwise(self.first[self.first >= self.photos].tolist()):
            every.append(begin + torch.randperm(end - begin, generator=generator)[: self.photos])
        joined = torch.cat(every)
        return joined[torch.randperm(len(joined), generator=generator)]

    def _steps(self) -> int:
        return max(1, len(self._pool(torch.Generator())) // self.config.recipe.batch)

    def _train_epoch(self, rates: NDArray[np.float64], advance: Callable[[float], None]) -> tuple[float, float]:
        """Go once through the faces; returns the mean loss and the share of known faces recognised."""
        # Seeding by epoch makes a resumed run draw the views that an uninterrupted one would have drawn.
        order, *seeds = np.random.SeedSequence([self.config.seed, self.epoch]).generate_state(len(rates) + 1).tolist()
        pool, size = self._pool(torch.Generator().manual_seed(order)), self.config.recipe.batch
        batches = [pool[start : start + size] for start in range(0, len(rates) * size, size)]

        def gather(step: int) -> tuple[Tensor, Draw]:
            return self.gather(batches[step], seeds[step])

        self.model.train()
        sums = torch.zeros(2, device=self.accelerator.device)
        readers = 0 if self.accelerator.device.type == "cpu" else READERS
        gathered = ahead(gather, range(len(rates)), readers)
        for rate, batch, (faces, draw) in zip(rates, batches, gathered, strict=True):
            loss, hit = self.loss(batch, faces, draw)
            self.model.zero_grad()
            self.accelerator.backward(loss)
            self.accelerator.clip_grad_norm_(self.model.parameters(), LARGEST_GRADIENT)
            for optimiser in self.optimisers:
                for group in optimiser.param_groups:
                    group["lr"] = float(rate)
                optimiser.step()
            sums += torch.stack([loss.detach(), hit])
            advance(loss.item())
        mean = self.accelerator.reduce(sums, "mean") / len(rates)
        return float(mean[0]), float(mean[1])

    def _record(self, loss: float, train_accuracy: float, seconds: float) -> None:
        """Append the epoch to the history CSV beside the checkpoint and draw it; remember the best epoch's weights.

        The best is the last whose validation accuracy is `no_worse` than the highest.
        """
        held = self.data.validation
        validation = accuracy(self.recognizer, held, self.description) if held else None
        if held is None or validation is None or no_worse(validation, self.best_accuracy, len(held.names)):
            self.best_accuracy = max(self.best_accuracy, validation or 0.0)
            self.best = {key: value.detach().clone() for key, value in self.recognizer.state_dict().items()}
        if not self.accelerator.is_main_process:
            return
        row = {
            "epoch": self.epoch,
            "loss": round(loss, 4),
            "train_accuracy": round(train_accuracy, 4),
            "validation_accuracy": "" if validation is None else round(validation, 4),
            "seconds": round(seconds, 1),
        }
        path = self.config.out.with_suffix(".csv")
        new = self.epoch == 1 or not path.exists()
        with path.open("w" if new else "a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)
        if time.perf_counter() - self.plotted > PLOT_SECONDS or self.epoch == self.config.recipe.epochs:
            plot_history(path)
            self.plotted = time.perf_counter()
        figures = {name: value for name, value in row.items() if name != "epoch" and value != ""}
        self.accelerator.log(figures, step=self.epoch)
        print(row)

    def save_state(self) -> None:
        """Keep all that a killed run needs to go on, whole or not at all."""
        if not self.accelerator.is_main_process:
            return
        partial = self.state_path.with_name(self.state_path.name + ".partial")
        state = {
            "made_from": self.made_from,
            "model": self.recognizer.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
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
        for optimiser, kept in zip(self.optimisers, state.pop("optimisers"), strict=True):
            optimiser.load_state_dict(kept)
        for name, value in state.items():
            setattr(self, name, value)
        self.accelerator.print(f"continuing after epoch {self.epoch}")


def train(config: Config) -> Description:
    """Train a recognizer and write its checkpoint to `config.out`; returns the description that it holds.

    Raises `DataError`, `RecognizerError` or `CheckpointError`.
    """
    accelerator = Accelerator(
        mixed_precision="bf16" if config.bf16 else "no",
        log_with="tensorboard" if config.tensorboard else None,
        project_dir=config.out.parent,
    )
    config.out.parent.mkdir(parents=True, exist_ok=True)
    with accelerator.main_process_first():
        data = load_data(config, accelerator.device)
    recipe = config.recipe
    description = Description(sorted(set(data.train.names)), recipe.input_size, crop_margin=recipe.crop_margin)
    description.recipe = json.dumps(config.summary())
    description.training_data = config.data_name or config.data.resolve().name
    trainer = Trainer(config, data, description, accelerator)
    trainer.fit()
    accelerator.end_training()
    description.minutes = round(trainer.seconds / 60, 1)
    if not accelerator.is_main_process:
        return description
    # Measured is what is written, not the weights before rounding nor, with bf16, their arithmetic.
    written = as_written(trainer.recognizer)
    description.training_accuracy = round(accuracy(written, data.train, description), 4)
    if data.test:
        description.accuracy = round(accuracy(written, data.test, description), 4)
    if people := data.strangers or data.test:
        found = verify(written, people, description)
        description.thresholds = found.thresholds
        description.true_accept_rates = {rate: round(share, 4) for rate, share in found.rates.items()}
        for rate, threshold in found.thresholds.items():
            print(f"FAR {rate}: threshold {threshold}, TAR {description.true_accept_rates.get(rate, 'unknown')}")
    save_checkpoint(config.out, written, description)
    tested = f"test accuracy {description.accuracy:.4f}" if data.test else "no test photos"
    accuracies = f"training accuracy {description.training_accuracy:.4f}, {tested}"
    print(f"{config.out}: {accuracies} after {description.minutes} minutes")
    return description

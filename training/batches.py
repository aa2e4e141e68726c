"""The faces of a run, numbered through, and the batches of an epoch."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from .config import Data
from .data.augment import degrade
from .distill.losses import fit_targets
from .model import EMBEDDING_SIZE
from .recipe import Recipe

Draw = Callable[..., Tensor]


class Batches:
    """Photos first, then morphs and attacked faces.

    Attributes:
        labels: i64 [N], the number of each face's class, -1 for a face without a name.
        photos: how many of the N faces are photos; the rest are nobody whom another face could resemble.
        targets: f32 [N, at most 512], what the teachers see in each, of unit norm; None without a teacher.
        keys: what each set was made from.
    """

    def __init__(self, data: Data, classes: list[str], recipe: Recipe, accelerator: Accelerator) -> None:
        """Join the sets to learn from; `classes` are the identities in the order of their numbers."""
        self.recipe, self.accelerator = recipe, accelerator
        sets = [faces for faces in (data.train, data.extra, data.morphs, data.attacked) if faces]
        self.faces = [torch.from_numpy(np.asarray(faces.faces)) for faces in sets]
        self.first = np.cumsum([0, *(len(faces) for faces in self.faces)])
        number = {name: number for number, name in enumerate(classes)}
        self.labels = torch.tensor([number.get(name, -1) for faces in sets for name in faces.names])
        self.photos = sum(len(faces.names) for faces in (data.train, data.extra) if faces)
        embeddings = [torch.from_numpy(faces.teacher) for faces in sets if faces.teacher is not None]
        self.targets = fit_targets(torch.cat(embeddings), EMBEDDING_SIZE) if embeddings else None
        self.keys = [faces.key for faces in sets]

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return max(1, len(self._pool(torch.Generator())) // self.recipe.batch)

    def draw(self, seed: int) -> list[Tensor]:
        """Return an epoch's batches, i64 [batch] each, of faces in random order."""
        pool, size = self._pool(torch.Generator().manual_seed(seed)), self.recipe.batch
        return [pool[start : start + size] for start in range(0, len(self) * size, size)]

    def _pool(self, generator: torch.Generator) -> Tensor:
        if not self.recipe.distilled:
            known = (self.labels >= 0).nonzero()[:, 0]
            return known[torch.randperm(len(known), generator=generator)]
        every = [torch.arange(self.photos)]
        for begin, end in pairwise(self.first[self.first >= self.photos].tolist()):
            every.append(begin + torch.randperm(end - begin, generator=generator)[: self.photos])
        joined = torch.cat(every)
        return joined[torch.randperm(len(joined), generator=generator)]

    def part(self, batch: Tensor) -> Tensor:
        """Return what one process sees of what there is for each face of a batch."""
        return batch[self.accelerator.process_index :: self.accelerator.num_processes]

    def gather(self, batch: Tensor, seed: int) -> tuple[Tensor, Draw]:
        """Read this process's part of a batch, u8 [P, C, C, 3], some of the faces blurred or compressed.

        Also returns where the random numbers for its views come from, as `random_view` takes it. They are drawn for the
        whole batch, so that they do not depend on the number of processes.
        """
        generator = torch.Generator().manual_seed(seed)

        def draw(*shape: int) -> Tensor:
            return self.part(torch.rand(len(batch), *shape, generator=generator))

        numbers = self.part(batch)
        sets = np.searchsorted(self.first, numbers.numpy(), side="right") - 1
        faces = torch.stack([self.faces[s][i - self.first[s]] for s, i in zip(sets, numbers.tolist(), strict=True)])
        damaged = degrade(faces, self.recipe.degrade, draw)
        return damaged.pin_memory() if self.accelerator.device.type == "cuda" else damaged, draw

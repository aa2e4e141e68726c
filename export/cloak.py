"""A cloak from several recognizers at once: what moves a face away from itself for all of them moves it for strangers.

Liu et al. 2017 (arXiv:1611.02770). Each recognizer sees the face in the frame that it was trained on; the gradients are
brought to one size and added.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from face_encryption.export.attack import DRAWS, FEATHER, Attack, Frame, Move, Square, of_unit_size

KEYPOINTS = 4  # of the detector's six: the eyes, the nose tip and the middle of the mouth


@dataclass(frozen=True)
class Source:
    """A recognizer as a source of gradients.

    `gradient` is that of `Attack`, with a reference f32 [dimensions] as the target and one minus the similarity as the
    loss, and returns the embedding besides. `template` f32 [4, 2] says where the recognizer wants eyes,
    nose and mouth, as parts of its image's edge; None for one that sees the whole square.
    """

    gradient: Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
    size: int
    dimensions: int
    template: Tensor | None = None

    def frame(self, keypoints: Tensor) -> Frame | None:
        """Return the upright frame in which `keypoints` f32 [4, 2], parts of the square's edge, best fit."""
        if self.template is None:
            return None
        wanted, found = self.template.mean(0), keypoints.mean(0)
        spread = self.template - wanted
        zoom = (spread * (keypoints - found)).sum() / (spread**2).sum()
        middle = found + zoom * (0.5 - wanted) - 0.5
        return Frame(zoom, middle[1], middle[0])


# Each source, the frame in which it sees a face, and the reference that it moves away from, f32 [dimensions].
Seen = list[tuple[Source, Frame | None, Tensor]]


class Cloak(Attack):
    """One step away from what each source sees in a face, or in several photos of the person."""

    def __init__(self, sources: Sequence[Source], feather: float = FEATHER) -> None:
        """Take the sources."""
        super().__init__(lambda *given: sources[0].gradient(*given)[:2], sources[0].size, feather)
        self.sources = sources

    def forward(
        self,
        face: Tensor,
        keypoints: Tensor,
        references: Tensor,
        epsilon: Tensor,
        step_size: Tensor,
        momentum: Tensor,
        diversity: Tensor,
        perceptual: Tensor,
        seed: Tensor,
        perturbation: Tensor,
        velocity: Tensor,
        iteration: Tensor,
        grid: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Cloak `face` u8 [S, S, 3] with the detector's `keypoints` f32 [6, 2] in its pixels; the rest as in `Attack`.

        `references` f32 [D] is what `CloakReference` returned of the face, or the mean of that of several of the
        person's. The loss is the mean over the sources.
        """
        square = self.square(face, epsilon, perceptual, grid)
        move = Move(torch.tensor(-1.0), step_size, momentum, diversity)
        before, moving, draws = self.resume(square, perturbation, velocity, iteration, seed)
        seen = self.seen(face, keypoints, references)
        after, moved, loss = self.step_of_all(square, before, moving, seen, move, draws)
        return after, moved, square.protected(after), loss

    def seen(self, face: Tensor, keypoints: Tensor, references: Tensor) -> Seen:
        """Return each source with the frame in which it sees the face and its part of the references, of unit norm."""
        parts = torch.split(references, [source.dimensions for source in self.sources])
        unit = [F.normalize(part, dim=0) for part in parts]
        return list(zip(self.sources, self.frames(keypoints, face), unit, strict=True))

    def step_of_all(
        self, square: Square, perturbation: Tensor, velocity: Tensor, seen: Seen, move: Move, draws: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Do what `Attack.step` does along the mean of the gradients of what `self.seen` returned."""
        changed, gradients, met = square.face(perturbation), [], []
        for source, frame, reference in seen:
            view = square.view(source.size, draws, move.diversity, frame)
            gradient, loss, _ = source.gradient(view.of(changed), reference)
            gradients.append(of_unit_size(view.back(gradient)))
            met.append(loss)
        perturbation, velocity = self.advance(square, perturbation, velocity, torch.stack(gradients).mean(0), move)
        return perturbation, velocity, torch.stack(met).mean()

    def frames(self, keypoints: Tensor, face: Tensor) -> list[Frame | None]:
        """Return the frame in which each source sees a face with the detector's keypoints."""
        return [source.frame(keypoints[:KEYPOINTS] / face.shape[0]) for source in self.sources]


class CloakReference(Cloak):
    """What the sources see in a face that nothing was done to."""

    def forward(  # type: ignore[override]
        self, face: Tensor, keypoints: Tensor, grid: Tensor | None = None
    ) -> Tensor:
        """Embed `face` u8 [S, S, 3] with `keypoints` as in `Cloak`; returns the sources' embeddings, f32 [D]."""
        square = self.square(face, torch.zeros(()), torch.zeros(()), grid)
        embeddings = []
        for source, frame in zip(self.sources, self.frames(keypoints, face), strict=True):
            unchanged = square.view(source.size, torch.zeros(DRAWS), torch.zeros(()), frame).of(square.pixels)
            embedding = source.gradient(unchanged, torch.zeros(source.dimensions))[2]
            embeddings.append(embedding)
        return torch.cat(embeddings)

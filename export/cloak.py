"""A cloak from several recognizers at once: what moves a face away from itself for all of them moves it for strangers.

Liu et al. 2017 (arXiv:1611.02770). Each recognizer sees the face in the frame that it was trained on; the gradients are
brought to one size and added.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from face_encryption.export.attack import FEATHER, Attack, Frame, Move, Square, of_unit_size

KEYPOINTS = 4  # of the detector's six: the eyes, the nose tip and the middle of the mouth


@dataclass(frozen=True)
class Source:
    """A recognizer as a source of gradients.

    `gradient` is that of `Attack`, with a reference f32 [dimensions] as the target and one minus the similarity as the
    loss, and returns the embedding besides. `template` f32 [4, 2] says where the recognizer wants eyes,
    nose and mouth, as parts of its image's edge; None for one that sees the whole square.
    """

    gradient: Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
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


class Cloak(Attack):
    """K steps away from what each source sees in the face before the first."""

    def __init__(self, sources: Sequence[Source], steps: int, feather: float = FEATHER) -> None:
        """Take the sources and K = `steps`."""
        super().__init__(lambda *given: sources[0].gradient(*given)[:2], sources[0].size, steps, feather)
        self.sources = sources

    def forward(  # type: ignore[override]
        self,
        face: Tensor,
        keypoints: Tensor,
        epsilon: Tensor,
        step_size: Tensor,
        momentum: Tensor,
        diversity: Tensor,
        perceptual: Tensor,
        intermediate: Tensor,
        seed: Tensor,
        grid: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Cloak `face` u8 [S, S, 3] with the detector's `keypoints` f32 [6, 2] in its pixels; the rest as in `Attack`.

        The losses are means over the sources.
        """
        square = self.square(face, epsilon, perceptual, grid)
        move = Move(torch.tensor(-1.0), step_size, momentum, diversity, intermediate)
        frames = [source.frame(keypoints[:KEYPOINTS] / face.shape[0]) for source in self.sources]
        references = [self.reference(square, source, frame) for source, frame in zip(self.sources, frames, strict=True)]
        perturbation, draws = self.begin(square, seed), self.draws(seed)
        velocity = torch.zeros_like(perturbation)
        losses = []
        for number in range(self.steps):
            changed, gradients, met = square.face(perturbation), [], []
            for source, frame, reference in zip(self.sources, frames, references, strict=True):
                view = square.view(source.size, draws[number], diversity, frame)
                unchanged = view.of(square.pixels)
                gradient, loss, _ = source.gradient(view.of(changed), reference, unchanged, move.weight)
                gradients.append(of_unit_size(view.back(gradient)))
                met.append(loss)
            perturbation, velocity = self.advance(square, perturbation, velocity, torch.stack(gradients).mean(0), move)
            losses.append(torch.stack(met).mean())
        return square.protected(perturbation), torch.stack(losses)

    def reference(self, square: Square, source: Source, frame: Frame | None) -> Tensor:
        """Return a source's embedding of the unchanged face, f32 [dimensions]."""
        view = square.view(source.size, torch.zeros(4), torch.zeros(()), frame)
        unchanged = view.of(square.pixels)
        return source.gradient(unchanged, torch.zeros(source.dimensions), unchanged, torch.zeros(()))[2]

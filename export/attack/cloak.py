"""The cloak: a change of one face that the eye pays little for, away from what recognizers see in it.

Each step asks the recognizers for a gradient through another view of the face, bent a little, and goes along it in
proportion to what that gains for what it costs in structural similarity; a budget bounds the cost of all steps
together, a clamp the change of each level. Momentum sums the gradients (Dong et al. 2018, MI-FGSM, arXiv:1710.06081).
Of several recognizers (surrogates; Liu et al. 2017, arXiv:1611.02770) each step asks one, which sees the face
aligned as it was trained: what another architecture adds, at the price of one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from .face_mask import UPRIGHT, face_mask, have_shape
from .noise import random_start
from .views import DRAWS, all_draws, draw_view, enlarge, normalize_mean_abs, shrink
from .visible_budget import cost_of_change, mix_colours, scale_to_budget, smoothing_matrix
from .warp import DRAWS as WARP_DRAWS
from .warp import Similarity, bicubic_weights, draw_warp, fit_similarity

KEYPOINTS = 4  # of the detector's six: the eyes, the nose tip and the middle of the mouth
# The steps work on a grid of so many pixels each way, whatever the size of the face.
GRID = 112
# From these levels on a pixel of the grid is black or white.
BLACK, WHITE = 1e-2, 255 - 1e-2
# What remains of the earlier steps' gradients, and the random start in levels.
MOMENTUM, START = 0.7, 2.0
# Of the views of recognizers that see the face aligned: they never see it much shifted or zoomed.
ALIGNED_DIVERSITY = 0.5
# A step goes this part of the budget's radius times K to this power, at most all of it, for K steps in all; the first
# step so many times as far, the last so many times, and those between them in even stages.
STRIDE, SLOWING = 1.7, -0.63
FIRST_STRIDE, LAST_STRIDE = 2.0, 0.2
# How often the others are asked for each time that ours, the last, is: what they find carries further.
OTHERS_FIRST = 2


def turns_of(sources: int) -> list[int]:
    """Return the numbers of the sources in the order of the steps of a round, ours last."""
    return [*range(sources - 1)] * OTHERS_FIRST + [sources - 1]


@dataclass(frozen=True)
class Source:
    """A recognizer as a source of gradients.

    `gradient` takes an image f32 [1, 3, size, size] in levels and a reference f32 [dimensions], and returns the
    gradient of one minus their similarity, that loss, and the embedding f32 [dimensions]. `template` f32 [4, 2] says
    where the recognizer wants eyes, nose and mouth, as parts of its image's edge; None for one that sees the whole
    square.
    """

    gradient: Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
    size: int
    dimensions: int
    template: Tensor | None = None

    def frame(self, keypoints: Tensor) -> Similarity | None:
        """Return where the recognizer's image lies in a square with `keypoints` f32 [6, 2], parts of its edge."""
        if self.template is None:
            return None
        points = torch.where(have_shape(keypoints), keypoints, UPRIGHT)[:KEYPOINTS]
        return fit_similarity(2 * self.template - 1, 2 * points - 1)


class FaceGrid(NamedTuple):
    """A face on the grid of the steps: what follows from its pixels, and from where it lies in its square.

    Attributes:
        pixels: f32 [3, G, G], levels.
        points: the detector's keypoints f32 [6, 2], as parts of the square's edge.
        mask: f32 [G, G], 1 inside the face, 0 outside of it.
        cost: f32 [3, G, G], what a squared change of a level costs.
        colours: f32 [3, 3], makes the colour of a change dearer.
        smoothing: f32 [G, G], smooths a line of the grid.
    """

    pixels: Tensor
    points: Tensor
    mask: Tensor
    cost: Tensor
    colours: Tensor
    smoothing: Tensor

    @classmethod
    def of(cls, pixels: Tensor, points: Tensor, side: Tensor) -> "FaceGrid":
        """Take `pixels` and `points` as above of a square of `side`, i64, pixels each way in its photo."""
        mask, smoothing = face_mask(points, GRID), smoothing_matrix(side, GRID)
        return cls(pixels, points, mask, cost_of_change(pixels), mix_colours(pixels), smoothing)

    def start(self, seed: Tensor, clamp: Tensor) -> Tensor:
        """Draw the random start f32 [3, G, G] in levels, uniform in +-`START` inside the mask; grey if the face is."""
        noise = random_start(seed, GRID).permute(2, 0, 1) * START
        return self.limit(self.mask * self.mixed(noise), clamp)

    def mixed(self, change: Tensor) -> Tensor:
        """Make the colour of f32 [3, G, G] dearer."""
        return (self.colours @ change.reshape(3, -1)).reshape(change.shape)

    def direction(self, momentum_buffer: Tensor) -> Tensor:
        """Return where f32 [3, G, G] gains most for its cost, smooth and inside the mask."""
        best = self.mixed(momentum_buffer / self.cost)
        return self.mask * (self.smoothing @ best @ self.smoothing.T)

    def open(self, perturbation: Tensor, direction: Tensor) -> Tensor:
        """Return f32 [3, G, G] without what leads beyond black and white, so that no part of the budget is lost."""
        changed = self.pixels + perturbation
        return torch.where(changed < WHITE, direction.relu(), 0.0) - torch.where(
            changed > BLACK, (-direction).relu(), 0.0
        )

    def limit(self, perturbation: Tensor, clamp: Tensor) -> Tensor:
        """Clamp f32 [3, G, G] to the clamp and to valid pixels."""
        lowest, highest = torch.maximum(-clamp, -self.pixels), torch.minimum(clamp, 255 - self.pixels)
        return torch.minimum(torch.maximum(perturbation, lowest), highest)


class CloakBegin(nn.Module):
    """All that the steps need of a face, whatever its size, and what they begin with."""

    def forward(self, face: Tensor, keypoints: Tensor, clamp: Tensor, seed: Tensor) -> tuple[Tensor, ...]:
        """Take `face` u8 [S, S, 3], the detector's `keypoints` f32 [6, 2] in its pixels, the clamp and the seed.

        Returns the fields of `FaceGrid`; `draws` f32 [N, D] in [-1, 1) for the views, of which step i takes the row
        i modulo N; then the random start and an empty momentum buffer, f32 [3, G, G].
        """
        side = torch.full((), face.shape[0], dtype=torch.int64)
        grid = FaceGrid.of(shrink(face.float(), GRID), keypoints / side, side)
        return *grid, all_draws(seed, DRAWS + WARP_DRAWS), grid.start(seed, clamp), torch.zeros_like(grid.pixels)


class CloakStep(nn.Module):
    """One step away from what a source sees in a face, or in several photos of the person."""

    def __init__(self, sources: Sequence[Source], turn: int = 0) -> None:
        """Take all sources, and the number of the one that the step asks."""
        super().__init__()
        self.source, self.begin = sources[turn], sum(each.dimensions for each in sources[:turn])
        self.weights = bicubic_weights(self.source.size)

    def forward(
        self,
        pixels: Tensor,
        points: Tensor,
        mask: Tensor,
        cost: Tensor,
        colours: Tensor,
        smoothing: Tensor,
        draws: Tensor,
        reference: Tensor,
        budget: Tensor,
        clamp: Tensor,
        steps: Tensor,
        perturbation: Tensor,
        momentum_buffer: Tensor,
        iteration: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Take the step of number `iteration`, from 0, out of `steps` steps (i64 scalars).

        The first seven are what `CloakBegin` made of the square. `reference` f32 [D] holds the embeddings of the face
        by all sources, one behind the other, or their mean over photos of the person. `budget` bounds the mean cost,
        about 1 - SSIM of the square, and `clamp` the change of each level.

        Takes and returns perturbation and momentum buffer, f32 [3, G, G]; returns besides the loss that the step met,
        one minus the similarity for its source.
        """
        grid = FaceGrid(pixels, points, mask, cost, colours, smoothing)
        gradient, loss = self.gradient(grid, perturbation, reference, draws[iteration % draws.shape[0]])
        buffer = MOMENTUM * momentum_buffer + normalize_mean_abs(gradient)
        direction = grid.open(perturbation, grid.direction(buffer))
        step = stride(iteration, steps) * scale_to_budget(direction, cost, budget, enlarge=True)
        # The clamp comes last: scaled down after it, no peak would reach it again, and peaks protect best.
        changed = grid.limit(scale_to_budget(perturbation + step, cost, budget, enlarge=False), clamp)
        return changed, buffer, loss

    def gradient(self, grid: FaceGrid, perturbation: Tensor, reference: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        """Return the source's gradient through the view of the `draws` f32 [D], f32 [3, G, G], and its loss."""
        source = self.source
        part = F.normalize(reference[self.begin : self.begin + source.dimensions], dim=0)
        # Aligned recognizers never see a face mirrored, and where they look for its parts is not mirrored either.
        aligned = source.template is not None
        view = draw_view(GRID, GRID, draws[:DRAWS], ALIGNED_DIVERSITY if aligned else 1.0, mirrored=not aligned)
        warp = draw_warp(self.weights, draws[DRAWS:], GRID, source.frame(grid.points))
        gradient, loss, _ = source.gradient(warp.of(view.of(grid.pixels + perturbation)), part)
        return view.back(warp.undo(gradient)), loss


def stride(number: Tensor, steps: Tensor) -> Tensor:
    """Return how far step `number` of `steps` goes, as part of the budget's radius: far first, then less and less.

    Long steps find where to go, short ones take back what a single view of the face asked for.
    """
    done = (number.float() / (steps - 1).clamp(min=1)).clamp(max=1.0)  # a client may go on after the last step planned
    length = FIRST_STRIDE + (LAST_STRIDE - FIRST_STRIDE) * done
    return (length * STRIDE * steps.float().pow(SLOWING)).clamp(max=1.0)


class CloakEnd(nn.Module):
    """What the steps found, carried to the photo's pixels."""

    def forward(self, face: Tensor, perturbation: Tensor, clamp: Tensor) -> Tensor:
        """Add `perturbation` f32 [3, G, G] to `face` u8 [S, S, 3] in whole levels, none beyond `clamp`."""
        # Rounding may reach past a clamp that is no whole number; resampling, a weighted mean, never past its input.
        bound = torch.floor(clamp)
        change = enlarge(torch.minimum(torch.maximum(perturbation, -bound), bound), face.shape[0])
        return (face.float() + torch.round(change)).clamp(0, 255).to(torch.uint8)


def cloak(
    sources: Sequence[Source],
    steps: int,
    face: Tensor,
    keypoints: Tensor,
    reference: Tensor,
    budget: Tensor,
    clamp: Tensor,
    seed: Tensor,
) -> tuple[Tensor, Tensor]:
    """Begin, do `steps` steps by the sources in the order of `turns_of`, and end.

    Returns the protected face, u8 [S, S, 3], and f32 [steps], the loss that each step met: element 0 is the random
    start's for the first source. What the last step reached is the recognizers' to measure, on the saved pixels.
    """
    *fixed, perturbation, buffer = CloakBegin()(face, keypoints, clamp, seed)
    losses, turns = [], turns_of(len(sources))
    for number in range(steps):
        step = CloakStep(sources, turns[number % len(turns)])
        given = (*fixed, reference, budget, clamp, torch.tensor(steps), perturbation, buffer, torch.tensor(number))
        perturbation, buffer, loss = step(*given)
        losses.append(loss)
    return CloakEnd()(face, perturbation, clamp), torch.stack(losses)


class CloakReference(nn.Module):
    """What the sources see in a face that nothing was done to."""

    def __init__(self, sources: Sequence[Source]) -> None:
        """Take the sources."""
        super().__init__()
        self.sources = sources
        self.weights = {source.size: bicubic_weights(source.size) for source in sources}

    def forward(self, face: Tensor, keypoints: Tensor) -> Tensor:
        """Embed `face` and `keypoints` as `CloakBegin` takes them; returns the sources' embeddings, f32 [D]."""
        pixels, points, embeddings = shrink(face.float(), GRID), keypoints / face.shape[0], []
        for source in self.sources:
            warp = draw_warp(self.weights[source.size], torch.zeros(WARP_DRAWS), GRID, source.frame(points))
            embeddings.append(source.gradient(warp.of(pixels[None]), torch.zeros(source.dimensions))[2])
        return torch.cat(embeddings)

"""Decoys: synthetic target identities, far from everyone known, so that nobody real is the target."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

SEED, CANDIDATES = 0, 4096
# Kept to so many decimals, an embedding is a third of the text, and its similarities stay within 0.001.
DECIMALS = 4


class DecoyError(ValueError):
    """No decoys can be made that lie far enough from every identity and from each other."""


def make_decoys(identities: Tensor, thresholds: Mapping[str, float], count: int = 8) -> Tensor:
    """Choose `count` decoys, f32 [count, E] of unit norm up to rounding, always the same ones for the same identities.

    `identities` f32 [N, E] are the rows of the class head, of any norm; `thresholds` maps a false accept rate to the
    similarity from which two faces count as one person. Every decoy is below all of them with every identity and with
    every other decoy; raises `DecoyError` where this cannot be had.

    The candidates are random, mostly along the directions in which identities differ most: where faces differ, there a
    face can be moved. Each choice is the one whose largest similarity to the identities and to the decoys before it is
    the smallest.
    """
    if not thresholds:
        raise DecoyError("the checkpoint has no thresholds to keep decoys below; train with --pairs")
    limit = min(thresholds.values())
    known = F.normalize(identities.detach())
    spread = known - known.mean(0)
    noise = torch.randn(CANDIDATES, len(known), generator=torch.Generator().manual_seed(SEED))
    # Their variance along a principal direction is the third power of the identities'.
    candidates = F.normalize(noise @ spread @ (spread.T @ spread)).round(decimals=DECIMALS)
    nearest = (candidates @ known.T).amax(1)
    chosen = []
    for number in range(count):
        best = int(nearest.argmin())
        if nearest[best] >= limit:
            raise DecoyError(
                f"decoy {number + 1} of {count} would have a similarity of {nearest[best]:.2f} to an identity or"
                f" another decoy, and the threshold is {limit:.2f}; train with more identities"
            )
        chosen.append(candidates[best])
        nearest = torch.maximum(nearest, candidates @ candidates[best])
    return torch.stack(chosen)

"""Knowledge distillation (Hinton et al. 2015, arXiv:1503.02531): to learn from finished recognizers, the teachers."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

# How sharply the relational loss tells similar faces from others, as a scale of similarities.
TEMPERATURE = 0.05


def fit_targets(embeddings: Tensor, size: int) -> Tensor:
    """Turn teachers' embeddings [N, D] into targets [N, at most `size`] of unit norm.

    Where D is too large they are projected on their `size` principal directions, which keeps similarities.
    """
    if embeddings.shape[1] <= size:
        return embeddings
    directions = torch.linalg.eigh(embeddings.double().T @ embeddings.double()).eigenvectors[:, -size:]
    return F.normalize(embeddings @ directions.float())


def turn_targets(targets: Tensor, embeddings: Tensor) -> Tensor:
    """Turn targets [N, D] so that the first M of them lie nearest to embeddings [M, E], D at most E; returns [N, E].

    A turn keeps all similarities (orthogonal Procrustes, Schoenemann 1966), so a recognizer that learned before need
    not unlearn in which directions its embedding says what.
    """
    left, _, right = torch.linalg.svd(targets[: len(embeddings)].T @ embeddings, full_matrices=False)
    turned: Tensor = targets @ (left @ right)
    return turned


def cosine_loss(embedding: Tensor, target: Tensor) -> Tensor:
    """Mean of 1 - similarity of embeddings [B, E] to the teacher's [B, D], both of unit norm, D at most E.

    Zeros fill up the teacher's: so the similarity of two of our embeddings learns to equal that of the teacher's.
    """
    return (1 - (embedding[:, : target.shape[1]] * target).sum(1)).mean()


def relational_loss(embedding: Tensor, target: Tensor, bank: Tensor) -> Tensor:
    """Divergence from the teacher's view of which faces in the `bank` [N, D] of its embeddings a face resembles.

    Fang et al. 2021 (SEED, arXiv:2101.04731). The cosine loss first learns what all faces share; this one asks at once
    for what tells them apart.
    """
    ours = F.log_softmax(embedding[:, : bank.shape[1]] @ bank.T / TEMPERATURE, 1)
    teachers = F.softmax(target @ bank.T / TEMPERATURE, 1)
    return F.kl_div(ours, teachers, reduction="batchmean")

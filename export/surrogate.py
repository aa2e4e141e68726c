"""A recognizer as attacks ask it: images in pixel levels, a loss for each objective, gradients by plain autograd."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from face_encryption.export.attack import Gradient
from face_encryption.export.gradient import fold_batch_norm
from face_encryption.export.views import shrink
from face_encryption.training.checkpoint import Description
from face_encryption.training.model import EMBEDDING_SIZE

# Softmax temperature of the label's loss. At 1 only the nearest class counts against the target, at the next step it is
# another one, and at the target the gradient is nothing but rounding error.
TEMPERATURE = 4.0


@dataclass(frozen=True)
class Objective:
    """What an attack moves towards or away from.

    `name` is in the graphs' names, `target` that of the input which says whom, `example` one of its dtype and shape.
    `loss` takes embedding [1, E], logits [1, classes] and a target; it is small where the face is what the target says.
    """

    name: str
    target: str
    example: Tensor
    loss: Callable[[Tensor, Tensor, Tensor], Tensor]


# Towards or away from a class that the recognizer knows: the cross-entropy.
LABEL = Objective(
    "label", "label", torch.tensor(0), lambda _, logits, label: F.cross_entropy(logits / TEMPERATURE, label[None])
)
# Away from any face's embedding: one minus the cosine similarity, by which recognizers compare faces.
FEATURE = Objective(
    "feature",
    "reference",
    torch.zeros(EMBEDDING_SIZE),
    lambda embedding, _, reference: 1 - embedding[0] @ reference,
)
OBJECTIVES = (LABEL, FEATURE)


class Surrogate(nn.Module):
    """A recognizer that takes pixel levels; mean and std live here, so that nothing outside needs them."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, description: Description) -> None:
        """Wrap `model(normalised f32 [B, 3, N, N]) -> (embedding, logits)`."""
        super().__init__()
        self.model = model
        self.size = description.input_size
        self.register_buffer("mean", 255 * torch.tensor(description.mean).view(3, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(description.std).view(3, 1, 1))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding f32 [B, E] of unit norm and logits [B, classes] of f32 [B, 3, N, N] levels."""
        embedding, logits = self.model((image - self.mean) / self.std)
        return embedding, logits

    def image(self, face: Tensor) -> Tensor:
        """Resample a square cut u8 [S, S, 3] to what the network takes, f32 [1, 3, N, N] in [0, 255]."""
        return shrink(face.float(), self.size)[None]

    def loss(self, objective: Objective) -> Callable[[Tensor, Tensor], tuple[Tensor, tuple[Tensor, Tensor]]]:
        """Return what an attack with an objective descends or ascends, a function of an image and the target.

        Images are f32 [1, 3, N, N] in [0, 255]. Beside the loss it returns it once more, and the embedding f32 [E].
        """

        def loss(image: Tensor, target: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
            embedding, logits = self(image)
            value = objective.loss(embedding, logits, target)
            return value, (value, embedding[0])

        return loss

    def gradient(self, objective: Objective) -> Gradient:
        """Return the gradient that `Attack` takes, by plain autograd: the reference for its graph."""
        return lambda *given: self._gradient(objective, *given)[:2]

    def embedding_gradient(self, image: Tensor, reference: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradient that `Cloak` takes, by plain autograd, the loss and the embedding."""
        return self._gradient(FEATURE, image, reference)

    def _gradient(self, objective: Objective, image: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        with torch.enable_grad():
            image = image.detach().requires_grad_()
            loss, (_, embedding) = self.loss(objective)(image, target)
            return torch.autograd.grad(loss, image)[0], loss.detach(), embedding.detach()


class FaceRecognizer(nn.Module):
    """Face u8 [S, S, 3] -> embedding f32 [E] and class probabilities f32 [classes]."""

    def __init__(self, surrogate: Surrogate) -> None:
        """Wrap a surrogate."""
        super().__init__()
        self.surrogate = surrogate

    def forward(self, face: Tensor) -> tuple[Tensor, Tensor]:
        """Resample, embed and classify one square cut."""
        embedding, logits = self.surrogate(self.surrogate.image(face))
        return embedding[0], logits[0].softmax(0)


def fold(model: nn.Module, description: Description) -> Surrogate:
    """Fold the batch norms of a recognizer and wrap it as the surrogate that is exported."""
    return Surrogate(fold_batch_norm(model), description)

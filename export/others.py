"""Face recognizers of others as sources of a cloak."""

import torch
from torch import Tensor

from face_encryption.export.cloak import Source
from face_encryption.export.surrogate import Surrogate
from face_encryption.training.checkpoint import Description
from face_encryption.training.distill.aligned import AlignedRecognizer
from face_encryption.training.distill.onnx_network import OnnxNetwork


def other_surrogate(recognizer: AlignedRecognizer) -> Surrogate:
    """Return another's recognizer as ours is, taking RGB pixel levels. Raises `RecognizerError`."""
    # The network takes levels: its own mean and std lie inside it.
    description = Description([], recognizer.size, (0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255))
    return Surrogate(OnnxNetwork(recognizer), description).eval()


def other_source(recognizer: AlignedRecognizer, surrogate: Surrogate) -> Source:
    """Return the source of a cloak that a recognizer's surrogate is, in the frame of its template."""
    template = torch.tensor(recognizer.template / recognizer.size, dtype=torch.float32)
    return source(surrogate, template)


def source(surrogate: Surrogate, template: Tensor | None = None) -> Source:
    """Return a surrogate as a source of a cloak, computed by plain autograd."""
    with torch.no_grad():
        dimensions = surrogate(torch.zeros(1, 3, surrogate.size, surrogate.size))[0].shape[1]
    return Source(surrogate.embedding_gradient, surrogate.size, dimensions, template)

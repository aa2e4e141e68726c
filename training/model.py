"""The recognizer that is attacked: ResNet-18, a 512-d embedding and a class head."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torchvision.models import resnet18

EMBEDDING_SIZE = 512
# The last feature map is averaged down to a grid of so many cells each way; a smaller input is refused.
GRID = 4
SMALLEST_INPUT = 97


class GridAvgPool(nn.Module):
    """Average the feature map down to 4x4 cells: where something is tells faces apart, and one average forgets it."""

    def forward(self, features: Tensor) -> Tensor:
        """Pool [B, C, N, N], N at least 4, to [B, C, 4, 4]; the windows overlap where 4 does not divide N."""
        stride = features.shape[-1] // GRID
        return F.avg_pool2d(features, features.shape[-1] - (GRID - 1) * stride, stride)


class Recognizer(nn.Module):
    """ResNet-18 (He et al. 2016, arXiv:1512.03385) with an embedding and a cosine class head.

    The class head is a cosine classifier (NormFace, Wang et al. 2017, arXiv:1704.06369): the same angle decides the
    class and the similarity of two photos, so an attack on the label also moves the embedding.
    """

    def __init__(self, classes: int, scale: float = 64.0) -> None:
        """Random initial weights for `classes` identities; `scale` is the inverse temperature of the class logits."""
        super().__init__()
        self.backbone = resnet18()
        # A fully connected layer over all channels of all cells (ArcFace, arXiv:1801.07698) would be a third of the
        # file; with fewer channels it weighs what one over 2x2 cells would.
        channels = 128
        reduced = nn.Conv2d(self.backbone.fc.in_features, channels, 1, bias=False)
        self.backbone.avgpool = nn.Sequential(GridAvgPool(), reduced, nn.BatchNorm2d(channels))
        self.backbone.fc = nn.Linear(GRID * GRID * channels, EMBEDDING_SIZE)
        self.neck = nn.BatchNorm1d(EMBEDDING_SIZE)
        # Without a bias the embeddings of all faces centre on zero (BNNeck, Luo et al. 2019, arXiv:1903.07071), so
        # that they cannot all lie in one narrow cone, where similarity tells nothing.
        self.neck.bias.requires_grad_(False)
        self.identities = nn.Parameter(torch.randn(classes, EMBEDDING_SIZE) * 0.01)
        self.scale = scale

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Embed and classify normalized images.

        `image` is float [B, 3, N, N], N at least 97, (pixel / 255 - mean) / std, RGB. Returns the embedding [B, 512]
        of unit norm and the class logits [B, classes] in [-scale, scale].
        """
        embedding = F.normalize(self.neck(self.backbone(image)))
        return embedding, self.scale * F.linear(embedding, F.normalize(self.identities))

"""Teachers as PyTorch modules: many faces at a time, in mixed precision, and with a gradient."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812
from rich.progress import track
from torch import Tensor

from .aligned import AlignedRecognizer, similarity_transforms
from .onnx_network import CPU, OnnxNetwork

# The limits of a random view, in parts of the picture's edge.
ZOOM, SHIFT = 0.08, 0.06


class Teacher:
    """A teacher with a gradient: it aligns cached cuts by their keypoints and embeds them."""

    def __init__(self, recognizer: AlignedRecognizer, bf16: bool, device: torch.device = CPU) -> None:
        """Read its model onto a device; `bf16` for mixed precision.

        Raises `RecognizerError` for ops without a gradient here.
        """
        self.network: Callable[[Tensor], tuple[Tensor, Tensor, Tensor]] = OnnxNetwork(recognizer, device)
        self.device = device
        self.size, self.template, self.bf16 = recognizer.size, recognizer.template, bf16
        self.weight = recognizer.weight
        with torch.no_grad():
            self.dimensions = self.network(torch.zeros(1, 3, self.size, self.size, device=device))[0].shape[1]

    def maps(self, keypoints: npt.NDArray[np.float32]) -> Tensor:
        """Return maps f32 [B, 2, 3] from the aligned picture's pixels to those of cuts with keypoints [B, 6, 2]."""
        maps = similarity_transforms(self.template, keypoints[:, :4])
        return torch.tensor(maps, dtype=torch.float32, device=self.device)

    def embed(self, cuts: Tensor, maps: Tensor, view: Tensor | None = None) -> Tensor:
        """Embed cuts f32 [B, 3, C, C] in levels: f32 [B, D] of unit norm; all tensors are on the teacher's device.

        `view` f32 [B, 4] in [-1, 1) changes what is seen: zoom, two shifts, and whether it is mirrored.
        """
        batch, side = len(cuts), cuts.shape[-1]
        half = self.size / 2
        pixels = torch.tensor([[half, 0, half], [0, half, half], [0, 0, 1]], device=self.device)
        if view is not None:
            zoom, mirror = 1 + ZOOM * view[:, 0], torch.where(view[:, 3] < 0, -1.0, 1.0)
            none, one = torch.zeros_like(zoom), torch.ones_like(zoom)
            rows = [[zoom * mirror, none, SHIFT * view[:, 1]], [none, zoom, SHIFT * view[:, 2]], [none, none, one]]
            pixels = pixels @ torch.stack([torch.stack(row, 1) for row in rows], 1)
        affine = maps @ pixels * 2 / side - torch.tensor([0.0, 0.0, 1.0], device=self.device)
        grid = F.affine_grid(affine, [batch, 3, self.size, self.size], align_corners=False)
        aligned = F.grid_sample(cuts, grid, padding_mode="border", align_corners=False)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            embedding: Tensor = self.network(aligned.contiguous(memory_format=torch.channels_last))[0]
        return embedding.float()


def batch_size(device: torch.device) -> int:
    """Return how many faces to show at a time: so few that their maps stay in caches, so many that a GPU has work."""
    return 16 if device.type == "cpu" else 256


@torch.no_grad()
def describe(
    teachers: Sequence[Teacher],
    cuts: npt.NDArray[np.uint8],
    keypoints: npt.NDArray[np.float32],
    *,
    mirrored: bool = False,
) -> npt.NDArray[np.float32]:
    """Return what all teachers together see in cuts u8 [M, C, C, 3] with keypoints f32 [M, 6, 2].

    Returns f32 [M, sum of D] of unit norm; the similarity of two rows is the mean of the teachers' similarities, by
    their weights. With `mirrored` each sees the mirror image too, and the mean of both counts.
    """
    device = teachers[0].device
    size, total = batch_size(device), sum(teacher.weight for teacher in teachers)
    batches = [slice(start, start + size) for start in range(0, len(cuts), size)]
    described = []
    for batch in track(batches, f"showing {len(cuts)} faces to the teachers"):
        pixels, seen = torch.from_numpy(cuts[batch]).to(device).permute(0, 3, 1, 2).float(), []
        for teacher in teachers:
            maps = teacher.maps(keypoints[batch])
            embedding = teacher.embed(pixels, maps)
            if mirrored:
                view = torch.tensor([0.0, 0.0, 0.0, -1.0], device=device).expand(len(maps), 4)
                embedding = F.normalize(embedding + teacher.embed(pixels, maps, view))
            seen.append(embedding * (teacher.weight / total) ** 0.5)
        described.append(torch.cat(seen, 1).cpu())
    return torch.cat(described).numpy()

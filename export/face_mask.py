"""The part of a face square that a cloak may change: an ellipse around the face, tilted as the face is."""

import torch
from torch import Tensor

# Half the ellipse's axes across and along the face, in parts of the square's edge. BlazeFace's boxes lie centred on the
# head, turned ones too, and are as large as the distance from the eyes to the mouth times a constant.
ACROSS, ALONG = 0.43, 0.5
# The mask falls from one to zero over this outer part of each radius.
RAMP = 0.2
# Eyes and mouth nearer to each other than this part of the edge say nothing of the tilt.
NEAREST = 0.05


def face_mask(keypoints: Tensor, size: int) -> Tensor:
    """Weights f32 [size, size] in [0, 1] for a square: zero on and outside the ellipse.

    `keypoints` f32 [6, 2] are the detector's, as parts of the square's edge: eyes, nose, mouth, ears. Where they lie in
    one place, as for a box drawn by hand, the face is taken to be upright.
    """
    down = keypoints[3] - (keypoints[0] + keypoints[1]) / 2
    length = down.square().sum().sqrt()
    down = torch.where(length > NEAREST, down / length.clamp(min=1e-6), torch.tensor([0.0, 1.0]))
    line = (torch.arange(size, dtype=torch.float32) + 0.5) / size - 0.5
    x, y = line[None], line[:, None]
    along, across = x * down[0] + y * down[1], x * down[1] - y * down[0]
    radius = ((across / ACROSS).square() + (along / ALONG).square()).sqrt()
    inward = ((1 - radius) / RAMP).clamp(0, 1)
    return inward * inward * (3 - 2 * inward)

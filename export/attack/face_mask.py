"""The part of a face square that a cloak may change: an ellipse around the face, tilted as the face is."""

import torch
from torch import Tensor

# Half the ellipse's axes across and along the face, in parts of the square's edge. BlazeFace's boxes lie centred on the
# head, turned ones too, and are as large as the distance from the eyes to the mouth times a constant.
ACROSS, ALONG = 0.43, 0.5
# The mask falls from one to zero over this outer part of each radius.
RAMP = 0.2
# Eyes and mouth nearer to each other than this part of the edge say nothing of how the face lies.
NEAREST = 0.05
# Where the detector finds eyes, nose, mouth and ears of an upright face, on average.
UPRIGHT = torch.tensor([[0.328, 0.3], [0.672, 0.3], [0.5, 0.487], [0.5, 0.67], [0.139, 0.394], [0.861, 0.394]])


def have_shape(keypoints: Tensor) -> Tensor:
    """Whether `keypoints` f32 [6, 2], parts of the square's edge, are a face's: not so for a box drawn by hand."""
    eyes, mouth = keypoints[:2].mean(0), keypoints[3]
    return (mouth - eyes).square().sum() > NEAREST**2


def face_mask(keypoints: Tensor, size: int) -> Tensor:
    """Weights f32 [size, size] in [0, 1] for a square: zero from a pixel before the ellipse on.

    So what lies on this grid changes nothing outside of the ellipse when it is resampled to a larger one. `keypoints`
    f32 [6, 2] are the detector's, as parts of the square's edge: eyes, nose, mouth, ears. Where they lie in one place,
    as for a box drawn by hand, the face is taken to be upright.
    """
    points = torch.where(have_shape(keypoints), keypoints, UPRIGHT)
    down = points[3] - points[:2].mean(0)
    down = down / down.square().sum().sqrt()
    line = (torch.arange(size, dtype=torch.float32) + 0.5) / size - 0.5
    x, y = line[None], line[:, None]
    along, across = x * down[0] + y * down[1], x * down[1] - y * down[0]
    radius = ((across / (ACROSS - 1 / size)).square() + (along / (ALONG - 1 / size)).square()).sqrt()
    inward = ((1 - radius) / RAMP).clamp(0, 1)
    return inward * inward * (3 - 2 * inward)

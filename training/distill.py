"""Knowledge distillation (Hinton et al. 2015, arXiv:1503.02531): to learn from a finished recognizer, the teacher."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import torch.nn.functional as F  # noqa: N812
from PIL import Image, ImageOps
from torch import Tensor

# Where face recognizers for 112x112 pixels expect the eyes, nose tip and mouth centre (ArcFace's template).
TEMPLATE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [56.1396, 92.2848]])
# How sharply the relational loss tells similar faces from others, as a scale of similarities.
TEMPERATURE = 0.05


class TeacherError(ValueError):
    """A teacher that is missing, is no ONNX model, or takes another kind of input."""


def align(image: npt.NDArray[np.uint8], keypoints: npt.NDArray[np.float32]) -> Image.Image:
    """Warp a face to the 112x112 template by the least-squares similarity transform of eyes, nose and mouth centre.

    `image` is u8 [H, W, 3]; `keypoints` f32 [6, 2] are the detector's, in pixels.
    """
    source = keypoints[[0, 1, 2, 3]].astype(np.float64)  # the subject's right eye is on the picture's left
    rows = [[x, -y, 1, 0] for x, y in TEMPLATE] + [[y, x, 0, 1] for x, y in TEMPLATE]
    # Pillow wants the map from output to input, so solve for that one directly.
    a, b, tx, ty = np.linalg.lstsq(np.array(rows), np.concatenate([source[:, 0], source[:, 1]]), rcond=None)[0]
    warp = (a, -b, tx, b, a, ty)
    return Image.fromarray(image).transform((112, 112), Image.Transform.AFFINE, warp, Image.Resampling.BILINEAR)


class Teacher:
    """A face recognizer given as ONNX that takes aligned RGB faces [1, 3, 112, 112] in 0..255, such as SFace."""

    def __init__(self, path: Path) -> None:
        """Load the model. Raises `TeacherError` when it cannot be loaded or takes another input."""
        if not path.is_file():
            raise TeacherError(f"{path}: no such teacher model")
        try:
            self.session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no common type
            raise TeacherError(f"{path}: not an ONNX model that runs here ({str(error).splitlines()[0]})") from None
        self.input = self.session.get_inputs()[0]
        if list(self.input.shape[1:]) != [3, 112, 112]:
            raise TeacherError(f"{path}: the teacher takes {self.input.shape}, not [1, 3, 112, 112]")

    def embed(self, face: Image.Image) -> npt.NDArray[np.float32]:
        """Embed an aligned face and its mirror image; returns their mean, f32 [D], of unit norm."""
        total = 0
        for view in (face, ImageOps.mirror(face)):
            pixels = np.asarray(view, np.float32).transpose(2, 0, 1)[None]
            total = total + self.session.run(None, {self.input.name: pixels})[0][0]
        return np.asarray(total / np.linalg.norm(total), np.float32)


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

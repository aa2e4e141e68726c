"""How far a change can be seen: the square around a face, or a whole photo, before and after it was protected."""

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity
from ssimulacra2 import compute_ssimulacra2

Pixels = NDArray[np.uint8]
Distance = Callable[[Pixels, Pixels], float]

# LPIPS needs so many pixels; what SSIMULACRA2 weighs are six scales, each half the one before and of 8 pixels at least.
LPIPS_SIDE = 32
SSIMULACRA2_SIDE = 256
# A blur so wide, in parts of the square's side, leaves shading and shape: a moved nose tip, a broader nose.
BLUR = 1.5 / 112
LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class Visibility:
    """What of a change can be seen.

    Attributes:
        psnr: dB; infinite where nothing changed.
        ssim: structural similarity, 1 for the same.
        lpips: 0 for the same; None where no network was given.
        ssimulacra2: 100 for the same; at 90 nobody sees a difference in a flicker test, at 70 hardly anybody without
            the original beside it; bad ones are negative.
        ciede2000: the largest colour difference of a pixel, CIEDE2000; 1 is about what can just be seen.
        blurred: the largest change of luma after a Gaussian blur with a sigma of `BLUR`, in levels of 255.
        change: the largest change of a channel, in levels.
        outside: the same, of what should not have changed.
    """

    psnr: float
    ssim: float
    lpips: float | None
    ssimulacra2: float
    ciede2000: float
    blurred: float
    change: int
    outside: int


# Of the worst photo the smallest of these counts; of the others the largest.
LESS_IS_WORSE = {"psnr", "ssim", "ssimulacra2"}


def measure_visibility(before: Pixels, after: Pixels, outside: int = 0, lpips: Distance | None = None) -> Visibility:
    """Measure the change of a face's square, u8 [S, S, 3], RGB; `outside` is what `outside_change` found.

    A square that is too small for LPIPS or SSIMULACRA2 is continued by its mirror image: enlarging it would change what
    the metrics see. Raises `ValueError` for squares of other sizes than each other, or of fewer than 7 pixels.
    """
    change = after.astype(np.float64) - before
    mean_square = float(np.mean(change**2))
    difference = deltaE_ciede2000(rgb2lab(before), rgb2lab(after))
    return Visibility(
        psnr=10 * math.log10(255**2 / mean_square) if mean_square else math.inf,
        ssim=float(structural_similarity(before, after, channel_axis=2, data_range=255)),
        lpips=lpips(*(_mirror(each, LPIPS_SIDE) for each in (before, after))) if lpips else None,
        ssimulacra2=compute_ssimulacra2(*(_file(_mirror(each, SSIMULACRA2_SIDE)) for each in (before, after))),
        ciede2000=float(difference.max()),
        blurred=float(np.abs(gaussian_filter(change @ LUMA, BLUR * len(before), mode="nearest")).max()),
        change=int(np.abs(change).max()),
        outside=outside,
    )


def outside_change(original: Pixels, saved: Pixels, inside: NDArray[np.bool_]) -> int:
    """Return the largest change of a channel, in levels, in a photo u8 [H, W, 3] where `inside`, [H, W], is false."""
    change = np.abs(saved.astype(np.int16) - original)
    return int(change[~inside].max(initial=0))


def summarize(measured: Sequence[Visibility]) -> dict[str, tuple[float, float]]:
    """Return the mean of several photos and the worst of them, by name, without what was not measured."""
    summary = {}
    for name in (field.name for field in fields(Visibility)):
        values = [value for each in measured if (value := getattr(each, name)) is not None]
        if values:
            worst = min(values) if name in LESS_IS_WORSE else max(values)
            summary[name] = (float(np.mean(values)), float(worst))
    return summary


def _mirror(square: Pixels, side: int) -> Pixels:
    missing = max(side - len(square), 0)
    margins = (missing // 2, missing - missing // 2)
    return np.pad(square, (margins, margins, (0, 0)), "symmetric")


def _file(pixels: Pixels) -> io.BytesIO:
    """Return a picture as a file without loss, since SSIMULACRA2 takes nothing else."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "BMP")
    file.seek(0)
    return file

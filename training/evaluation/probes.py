"""A photo's main face, embedded; and the same after the photo was protected, saved and recompressed."""

import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from face_encryption.runtime import Protector, Settings
from face_encryption.runtime.faces import Face, cut_square, detect, main_face, overlap, square_around

from ..distill.aligned import AlignedRecognizer
from ..threads import in_parallel
from .recompression import recompress
from .visibility import Distance, Pixels, Visibility, measure_visibility, outside_change

Embedding = NDArray[np.float32]
Embed = Callable[[Pixels, Face], Embedding]

SAVED = "as saved"
# Half the axes of the ellipse that a cloak may change, in parts of the square's side.
ACROSS, ALONG = 0.43, 0.5
# The saved photo, evaluated by somebody who knows where the face was before.
LANDMARKS_GIVEN = "landmarks given"


@dataclass(frozen=True)
class Picture:
    """A picture, u8 [H, W, 3], and its main face, None when the detector finds none."""

    pixels: Pixels
    face: Face | None


@dataclass(frozen=True)
class ProtectedProbe:
    """A probe after it was protected: the saved pixels, and its embeddings by recompression and recognizer.

    An embedding is None where the detector finds no face.
    """

    saved: Pixels
    visibility: Visibility
    embeddings: dict[str, dict[str, Embedding | None]]


def detect_main_face(protector: Protector, pixels: Pixels) -> Picture:
    """Find the face that a picture, u8 [H, W, 3], is about."""
    faces = detect(protector.artifacts.detector, pixels)
    return Picture(pixels, main_face(faces, pixels.shape) if faces else None)


def embed_surrogate(protector: Protector) -> Embed:
    """Return how the attacked recognizer embeds a face."""
    margin = protector.artifacts.manifest.recognizer.crop_margin
    return lambda pixels, face: protector.recognize(cut_square(pixels, face.box, margin)[0]).embedding


def embed_black_box(recognizer: AlignedRecognizer) -> Embed:
    """Return how another recognizer embeds a face: aligned by its keypoints."""
    return lambda pixels, face: recognizer.embed(pixels, face.keypoints)


def protect_probes(
    protector: Protector,
    recognizers: Mapping[str, Embed],
    probes: Mapping[str, Picture],
    known: Mapping[str, Embedding],
    settings: Settings,
    recompressions: Iterable[str] = (),
    lpips: Distance | None = None,
) -> list[ProtectedProbe]:
    """Protect each person's clean probe as PNG and embed what was saved, as it is and recompressed.

    `probes` have a face each; `known` f32 [N, D] is the gallery of the attack, by name: that of `Settings`.
    """
    protector.check(settings)

    def work(name: str) -> ProtectedProbe:
        clean = probes[name]
        saved, visibility = protect_and_measure(protector, clean, replace(settings, gallery=known.get(name)), lpips)
        pictures = {SAVED: detect_main_face(protector, saved), LANDMARKS_GIVEN: Picture(saved, clean.face)}
        for way in recompressions:
            pictures[way] = detect_main_face(protector, recompress(saved, way))
        embeddings = {way: embed_all(recognizers, picture) for way, picture in pictures.items()}
        return ProtectedProbe(saved, visibility, embeddings)

    return in_parallel(work, list(probes), f"protecting {len(probes)} photos")


def protect_and_measure(
    protector: Protector, clean: Picture, settings: Settings, lpips: Distance | None = None
) -> tuple[Pixels, Visibility]:
    """Protect a photo as PNG; returns the saved pixels, and what can be seen of the change in its main face."""
    assert clean.face is not None
    margin = protector.artifacts.manifest.recognizer.crop_margin
    png = io.BytesIO()
    Image.fromarray(clean.pixels).save(png, "PNG", compress_level=1)
    protected = protector.protect(png.getvalue(), settings)
    saved = np.asarray(Image.open(io.BytesIO(protected.data)).convert("RGB"))
    inside = face_ellipses(saved.shape, [face.face for face in protected.faces], margin)
    before, after = (cut_square(pixels, clean.face.box, margin)[0] for pixels in (clean.pixels, saved))
    return saved, measure_visibility(before, after, outside_change(clean.pixels, saved, inside), lpips)


def face_ellipses(shape: tuple[int, ...], faces: Iterable[Face], margin: float) -> NDArray[np.bool_]:
    """Return the part of a photo of this shape, [H, W], that a cloak may change: an ellipse around each of the faces.

    It lies in the middle of the face's square and is tilted as the line from the eyes to the mouth; see
    `docs/artifacts.md`.
    """
    inside = np.zeros(shape[:2], np.bool_)
    for face in faces:
        corner, side = square_around(face.box, margin)
        in_photo, _ = overlap(shape, side, corner)
        y, x = np.mgrid[in_photo]
        x, y = (x + 0.5 - corner[0]) / side - 0.5, (y + 0.5 - corner[1]) / side - 0.5
        down = face.keypoints[3] - face.keypoints[:2].mean(0)
        down = down / np.linalg.norm(down)
        across, along = x * down[1] - y * down[0], x * down[0] + y * down[1]
        inside[in_photo] |= (across / ACROSS) ** 2 + (along / ALONG) ** 2 < 1
    return inside


def embed_all(recognizers: Mapping[str, Embed], picture: Picture) -> dict[str, Embedding | None]:
    """Return a picture's embedding by each recognizer, None where it has no face."""
    face = picture.face
    return {name: embed(picture.pixels, face) if face else None for name, embed in recognizers.items()}

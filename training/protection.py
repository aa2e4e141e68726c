"""How well protected photos are protected: the recognizer that was attacked beside others that it has never seen.

A judge finds the face on the bytes of the saved file, as a stranger would, and compares it with a clean photo of the
same person, the gallery. Protected are probes whose similarity to it lies below the judge's threshold, which is set on
the clean photos of different people.
"""

import contextlib
import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from skimage.metrics import structural_similarity

from face_encryption.runtime import NoFaceError, PhotoError, Protector, Settings
from face_encryption.runtime.faces import Face, cut_square, detect, main_face
from face_encryption.training.aligned import AlignedRecognizer
from face_encryption.training.data import Photo, list_data
from face_encryption.training.faces import in_parallel, read_photo
from face_encryption.training.plots import plot_protection

Pixels = npt.NDArray[np.uint8]
Embedding = npt.NDArray[np.float32]
Embed = Callable[[Pixels, Face], Embedding]
Distance = Callable[[Pixels, Pixels], float]

RATES = (0.01, 0.001)


@dataclass(frozen=True)
class Seen:
    """A picture and its main face, None when the detector finds none."""

    pixels: Pixels
    face: Face | None


@dataclass(frozen=True)
class Probe:
    """A person's photos: the clean probe and gallery, and what became of the probe, by how it was published."""

    name: str
    clean: Seen
    gallery: Seen
    published: dict[str, Seen]
    ssim: float
    psnr: float
    change: int
    lpips: float | None = None


@dataclass(frozen=True)
class Judgement:
    """What one recognizer says of all probes, published in one way.

    Shares are in [0, 1]. `clean` counts the clean probes that the recognizer misses by itself, `protected` the
    protected ones, from `low` to `high` in 95 of 100 resamplings of the people; `hidden` are those of them in which no
    face was found, and `given_landmarks` is the rate for whoever knows where the face was. `rank1` and `rank1_clean`
    are closed-set identification among all galleries and distractors. `strangers` is how often a protected probe
    matches somebody else.
    """

    recognizer: str
    published: str
    far: float
    threshold: float
    clean: float
    protected: float
    low: float
    high: float
    hidden: float
    given_landmarks: float
    rank1_clean: float
    rank1: float
    strangers: float


def see(protector: Protector, pixels: Pixels) -> Seen:
    """Find the face that a picture is about."""
    faces = detect(protector.artifacts.detector, pixels)
    return Seen(pixels, main_face(faces, pixels.shape) if faces else None)


def publish(saved: Pixels) -> dict[str, Pixels]:
    """Return what websites make of a saved photo: JPEG of three qualities, half its size, and both."""
    picture = Image.fromarray(saved)
    half = picture.resize((max(saved.shape[1] // 2, 1), max(saved.shape[0] // 2, 1)), Image.Resampling.LANCZOS)

    def jpeg(image: Image.Image, quality: int) -> Pixels:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file))

    return {
        "as saved": saved,
        "JPEG 90": jpeg(picture, 90),
        "JPEG 75": jpeg(picture, 75),
        "JPEG 50": jpeg(picture, 50),
        "half size": np.asarray(half),
        "half, JPEG 75": jpeg(half, 75),
    }


def enroll_all(protector: Protector, data: Path, photos: Sequence[Photo]) -> dict[str, Embedding]:
    """Return what the attack's gallery holds of each person, f32 [N, D] by name; what shows no face is left out."""

    def work(photo: Photo) -> Embedding | None:
        with contextlib.suppress(NoFaceError, PhotoError):
            return protector.enroll((data / photo.path).read_bytes())
        return None

    found: dict[str, list[Embedding]] = {}
    for photo, faces in zip(photos, in_parallel(work, photos, f"enrolling {len(photos)} photos"), strict=True):
        if faces is not None:
            found.setdefault(photo.name, []).append(faces)
    return {name: np.concatenate(faces) for name, faces in found.items()}


def protect_all(
    protector: Protector,
    data: Path,
    pairs: Sequence[tuple[Photo, Photo]],
    settings: Settings,
    lpips: Distance | None,
    known: Mapping[str, Embedding],
) -> tuple[list[Probe], list[str]]:
    """Protect the probe of each pair (probe, gallery) as PNG; returns the probes and the names of those left out.

    Left out are people in one of whose clean photos no face is found. `known` is the gallery of the attack, by name:
    that of `Settings`. Raises `DataError` for an unreadable photo.
    """
    margin = protector.artifacts.recognizer.value("crop_margin", float)
    protector.check(settings)

    def work(pair: tuple[Photo, Photo]) -> Probe | str:
        clean, enrolled = (see(protector, read_photo(data / photo.path)) for photo in pair)
        if clean.face is None or enrolled.face is None:
            return pair[0].name
        png = io.BytesIO()
        Image.fromarray(clean.pixels).save(png, "PNG", compress_level=1)
        protected = protector.protect(png.getvalue(), replace(settings, gallery=known.get(pair[0].name)))
        saved = np.asarray(Image.open(io.BytesIO(protected.data)).convert("RGB"))
        published = {name: see(protector, pixels) for name, pixels in publish(saved).items()}
        squares = [cut_square(pixels, clean.face.box, margin)[0] for pixels in (clean.pixels, saved)]
        ssim = structural_similarity(*squares, channel_axis=2, data_range=255)
        worst = min(protected.faces, key=lambda face: face.psnr)
        looks = lpips(*squares) if lpips else None
        return Probe(pair[0].name, clean, enrolled, published, float(ssim), worst.psnr, worst.change, looks)

    found = in_parallel(work, pairs, f"protecting {len(pairs)} photos")
    probes = [probe for probe in found if isinstance(probe, Probe)]
    return probes, [name for name in found if isinstance(name, str)]


def own(protector: Protector) -> Embed:
    """Return how the attacked recognizer embeds a face."""
    margin = protector.artifacts.recognizer.value("crop_margin", float)
    return lambda pixels, face: protector.recognise(cut_square(pixels, face.box, margin)[0]).embedding


def other(recognizer: AlignedRecognizer) -> Embed:
    """Return how another recognizer embeds a face: aligned by its keypoints."""
    return lambda pixels, face: recognizer.embed(pixels, face.keypoints)


def judge(name: str, embed: Embed, probes: Sequence[Probe], distractors: Sequence[Seen] = ()) -> list[Judgement]:
    """Return what a recognizer says of the probes, for each way of publishing and each false accept rate."""

    def embeddings(seen: Sequence[Seen], what: str) -> npt.NDArray[np.float32]:
        """Embed faces, f32 [N, D]; a row of not-a-number, which is similar to nobody, where there is none."""
        found = in_parallel(lambda s: None if s.face is None else embed(s.pixels, s.face), seen, f"{name}: {what}")
        size = next(len(each) for each in found if each is not None)
        return np.stack([np.full(size, np.nan, np.float32) if each is None else each for each in found])

    gallery = embeddings([probe.gallery for probe in probes], "gallery")
    clean = embeddings([probe.clean for probe in probes], "clean")
    crowd = embeddings(distractors, "distractors") if distractors else gallery[:0]
    everybody = np.concatenate([gallery, crowd]).T
    rank1_clean = _rank1(clean @ everybody)
    stranger = ~np.eye(len(probes), dtype=bool)
    found_clean = clean @ gallery.T
    judgements = []
    for published in probes[0].published:
        pictures = [probe.published[published] for probe in probes]
        protected = embeddings(pictures, published) @ everybody
        known = [Seen(s.pixels, _moved(p.clean, s.pixels)) for s, p in zip(pictures, probes, strict=True)]
        informed = np.einsum("ij,ij->i", embeddings(known, f"{published}, landmarks given"), gallery)
        hidden = np.array([picture.face is None for picture in pictures])
        for far in RATES:
            threshold = float(np.quantile(found_clean[stranger], 1 - far))
            safe = ~(np.diag(protected) >= threshold)  # true where there is no face
            low, high = _interval(safe)
            judgements.append(
                Judgement(
                    name,
                    published,
                    far,
                    threshold,
                    float((np.diag(found_clean) < threshold).mean()),
                    float(safe.mean()),
                    low,
                    high,
                    float(hidden.mean()),
                    float((informed < threshold).mean()),
                    rank1_clean,
                    _rank1(protected),
                    float((protected[:, : len(probes)][stranger] >= threshold).mean()),
                )
            )
    return judgements


def _moved(clean: Seen, pixels: Pixels) -> Face | None:
    """Return where a clean photo's face lies in a picture of it of another size."""
    if clean.face is None:
        return None
    scale = pixels.shape[1] / clean.pixels.shape[1]
    x0, y0, x1, y1 = (scale * edge for edge in clean.face.box)
    return Face((x0, y0, x1, y1), clean.face.score, (clean.face.keypoints * scale).astype(np.float32))


def _rank1(similarities: npt.NDArray[np.float32]) -> float:
    """Return how often row i is most similar to column i; a row without a face never is."""
    best = np.nan_to_num(similarities, nan=-2.0).argmax(1)
    right = (best == np.arange(len(similarities))) & ~np.isnan(similarities[:, 0])
    return float(right.mean())


def _interval(safe: npt.NDArray[np.bool_]) -> tuple[float, float]:
    random = np.random.default_rng(0)
    rates = random.choice(safe, (2000, len(safe))).mean(1)
    low, high = np.percentile(rates, [2.5, 97.5])
    return float(low), float(high)


def run(
    protector: Protector,
    recognizers: dict[str, Embed],
    data: Path,
    pairs: Sequence[tuple[Photo, Photo]],
    every: Sequence[Settings],
    distractors: int,
    out: Path | None,
    report: Callable[[str], None],
    lpips: Distance | None = None,
    gallery: int = 0,
) -> None:
    """Protect, judge and report the pairs with each of the settings; write CSV, plot and sheet into `out`.

    `distractors` are so many other people of the data, whom judges may take a probe for, and `gallery` so many other
    photos of each person, from which the attack knows them too.
    """
    names = {photo.name for pair in pairs for photo in pair}
    paired = {photo for pair in pairs for photo in pair}
    everything = list_data(data).everything if distractors or gallery else []
    strangers = {photo.name: photo for photo in everything if photo.name not in names}
    crowd = [see(protector, read_photo(data / photo.path)) for photo in [*strangers.values()][:distractors]]
    more: dict[str, list[Photo]] = {name: [] for name in names}
    for photo in everything:
        if photo.name in names and photo not in paired and len(more[photo.name]) < gallery:
            more[photo.name].append(photo)
    known = enroll_all(protector, data, [each for photos in more.values() for each in photos]) if gallery else {}
    rows: list[dict[str, Any]] = []
    for settings in every:
        probes, left_out = protect_all(protector, data, pairs, settings, lpips, known)
        plan = protector.plan(settings)
        judgements = [each for name, embed in recognizers.items() for each in judge(name, embed, probes, crowd)]
        looks = {
            "psnr": float(np.mean([probe.psnr for probe in probes])),
            "ssim": float(np.mean([probe.ssim for probe in probes])),
            "change": max(probe.change for probe in probes),
        }
        if lpips:
            looks["lpips"] = float(np.mean([probe.lpips for probe in probes if probe.lpips is not None]))
        rows += [asdict(plan) | looks | asdict(each) for each in judgements]
        report("\n" + ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in asdict(plan).items()))
        report(
            f"{len(probes)} people" + (f" (no face: {', '.join(left_out)})" if left_out else "") + "; face squares: "
            f"PSNR {looks['psnr']:.1f} dB, SSIM {looks['ssim']:.3f}, "
            + (f"LPIPS {looks['lpips']:.3f}, " if lpips else "")
            + f"largest change {looks['change']} levels; protection rates at FAR 1 %:\n"
        )
        report(table(judgements))
    if out:
        out.mkdir(parents=True, exist_ok=True)
        with (out / "protection.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        what = "epsilon" if len({row["epsilon"] for row in rows}) > 1 else "steps"
        shown = [row for row in rows if row["far"] == RATES[0] and row["published"] == "as saved"]
        points = {name: [(r[what], r["protected"]) for r in shown if r["recognizer"] == name] for name in recognizers}
        plot_protection(points, what, out / "protection.png")
        margin = protector.artifacts.recognizer.value("crop_margin", float)
        sheet(probes[:12], margin).save(out / "sheet.png")


def table(judgements: Sequence[Judgement], far: float = RATES[0]) -> str:
    """Return a markdown table of the rates in per cent, a row a recognizer."""
    ways = list(dict.fromkeys(each.published for each in judgements))
    heads = ["recogniser", "threshold", "clean", *ways, "landmarks given", "no face found", "rank-1 clean", "rank-1"]
    lines = [heads, ["---"] * len(heads)]
    for name in dict.fromkeys(each.recognizer for each in judgements):
        rows = {each.published: each for each in judgements if each.recognizer == name and each.far == far}
        first = rows[ways[0]]
        cells = [name, f"{first.threshold:.3f}", f"{first.clean:.1%}"]
        cells.append(f"{first.protected:.1%} ({first.low:.0%} to {first.high:.0%})")
        cells += [f"{rows[way].protected:.1%}" for way in ways[1:]]
        shares: list[Any] = [first.given_landmarks, first.hidden, first.rank1_clean, first.rank1]
        lines.append([*cells, *(f"{share:.1%}" for share in shares)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def sheet(probes: Sequence[Probe], margin: float, edge: int = 200) -> Image.Image:
    """Show faces before and after, and the difference ten times enlarged around grey; a row a person."""
    picture = Image.new("RGB", (3 * edge, edge * len(probes)), "white")
    for row, probe in enumerate(probes):
        assert probe.clean.face is not None
        saved = probe.published["as saved"].pixels
        before, after = (cut_square(p, probe.clean.face.box, margin)[0] for p in (probe.clean.pixels, saved))
        difference = np.clip(128 + 10 * (after.astype(np.int16) - before), 0, 255).astype(np.uint8)
        for column, part in enumerate((before, after, difference)):
            resized = Image.fromarray(part).resize((edge, edge), Image.Resampling.BICUBIC)
            picture.paste(resized, (column * edge, row * edge))
    return picture

"""What was measured of protection, as tables, a CSV file, curves and pictures."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from face_encryption.runtime.faces import cut_square

from .people import People
from .plots import plot_rates
from .probes import LANDMARKS_GIVEN, SAVED
from .protection import FARS, Measurement, Rates
from .visibility import Pixels, summarize

# What the command calls the recognizer that was attacked.
WHITE_BOX = "ours (white box)"
# How the tables head what `Visibility` calls so, and to how many decimals they say it.
LOOKS = {
    "psnr": ("PSNR, dB", 1),
    "ssim": ("SSIM", 3),
    "lpips": ("LPIPS", 3),
    "ssimulacra2": ("SSIMULACRA2", 1),
    "ciede2000": ("largest CIEDE2000", 1),
    "blurred": ("largest blurred luma", 1),
    "change": ("largest change", 1),
    "outside": ("outside", 1),
}
EDGE = 200  # of a face on the sheet of people


def describe(measurement: Measurement, left_out: Sequence[str]) -> str:
    """Return what one setting reached: its numbers and two markdown tables."""
    plan = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in asdict(measurement.plan).items())
    missing = f" (no face: {', '.join(left_out)})" if left_out else ""
    return (
        f"\n{plan}\n{len(measurement.probes)} people{missing}\n\n{tabulate_visibility(measurement)}\n\n"
        f"Protected at FAR 1 %:\n\n{tabulate_rates(measurement.rates)}"
    )


def tabulate_visibility(measurement: Measurement) -> str:
    """Return a markdown table of what can be seen in the face squares: the mean photo and the worst."""
    summary = summarize([probe.visibility for probe in measurement.probes.values()])
    rows = [["face squares", *(LOOKS[name][0] for name in summary)]]
    for row, number in (("mean", 0), ("worst", 1)):
        rows.append([row, *(f"{values[number]:.{LOOKS[name][1]}f}" for name, values in summary.items())])
    return _table(rows)


def tabulate_rates(rates: Sequence[Rates], far: float = FARS[0]) -> str:
    """Return a markdown table of the rates in per cent, a row a recognizer, and a row for the mean of the black boxes.

    `very photo` is how many still match a gallery that holds the very photo.
    """
    by_name = {(each.recognizer, each.recompression): each for each in rates if each.far == far}
    ways = [SAVED, *(way for way in dict.fromkeys(way for _, way in by_name) if way not in (SAVED, LANDMARKS_GIVEN))]
    heads = ["recognizer", "threshold", "clean", *ways, LANDMARKS_GIVEN, "no face found"]
    rows = [[*heads, "very photo matched", "rank-1 clean", "rank-1"]]
    names = list(dict.fromkeys(name for name, _ in by_name))
    black_boxes = [name for name in names if name != WHITE_BOX]
    groups = [[name] for name in names] + ([black_boxes] if len(black_boxes) > 1 else [])
    for group in groups:

        def mean(of: str, way: str = SAVED, group: list[str] = group) -> str:
            return f"{np.mean([getattr(by_name[name, way], of) for name in group]):.1%}"

        saved = by_name[group[0], SAVED]
        alone = len(group) == 1
        cells = [group[0] if alone else "mean of the black boxes", f"{saved.threshold:.3f}" if alone else ""]
        cells += [mean("clean"), mean("protected") + (f" ({saved.low:.0%} to {saved.high:.0%})" if alone else "")]
        cells += [mean("protected", way) for way in (*ways[1:], LANDMARKS_GIVEN)]
        rows.append([*cells, *(mean(of) for of in ("hidden", "very_photo", "rank1_clean", "rank1"))])
    return _table(rows)


def write_report(out: Path, people: People, every: Sequence[Measurement], margin: float) -> None:
    """Write `protection.csv`, `protection.png` with curves and `sheet.png` with faces of the last setting."""
    out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for number, measurement in enumerate(every, 1):
        summary = summarize([probe.visibility for probe in measurement.probes.values()])
        looks = {name: mean for name, (mean, _) in summary.items()}
        looks |= {f"{name}_worst": worst for name, (_, worst) in summary.items()}
        rows += [{"setting": number} | asdict(measurement.plan) | looks | asdict(each) for each in measurement.rates]
    write_rows(out / "protection.csv", rows)
    plot_rates(*_curves(rows), out / "protection.png")
    pairs = []
    for name, probe in [*every[-1].probes.items()][:12]:
        clean = people.probes[name]
        assert clean.face is not None
        pairs.append([cut_square(pixels, clean.face.box, margin)[0] for pixels in (clean.pixels, probe.saved)])
    sheet = Image.new("RGB", (3 * EDGE, EDGE * len(pairs)))
    for row, (before, after) in enumerate(pairs):
        sheet.paste(side_by_side(before, after, EDGE), (0, EDGE * row))
    sheet.save(out / "sheet.png")


def _curves(rows: Iterable[Mapping[str, Any]]) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Return what can be seen, by measure, and the rates, by recognizer, of each setting, in order."""
    shown = [row for row in rows if row["far"] == FARS[0] and row["recompression"] == SAVED]
    rates: dict[str, list[float]] = {}
    for row in shown:
        rates.setdefault(row["recognizer"], []).append(row["protected"])
    black_boxes = [values for name, values in rates.items() if name != WHITE_BOX]
    if len(black_boxes) > 1:
        rates["mean of the black boxes"] = np.mean(black_boxes, 0).tolist()
    settings = {row["setting"]: row for row in shown}.values()
    measures = [name for name in ("ssim", "lpips", "ssimulacra2") if all(name in row for row in settings)]
    return {LOOKS[name][0]: [row[name] for row in settings] for name in measures}, rates


def side_by_side(before: Pixels, after: Pixels, edge: int) -> Image.Image:
    """Show two squares u8 [S, S, 3] and their difference, ten times as large and around grey, each of this edge."""
    picture = Image.new("RGB", (3 * edge, edge))
    difference = np.clip(128 + 10 * (after.astype(np.int16) - before), 0, 255).astype(np.uint8)
    for column, part in enumerate((before, after, difference)):
        resized = Image.fromarray(part).resize((edge, edge), Image.Resampling.BICUBIC)
        picture.paste(resized, (column * edge, 0))
    return picture


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a CSV file of rows that all have the same columns."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)

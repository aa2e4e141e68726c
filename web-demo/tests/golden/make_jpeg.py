"""Write `jpeg.json`: files that Pillow writes of pixels that both sides can compute, as the runtime asks it to."""

import base64
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image, JpegImagePlugin


def pixels(width: int, height: int, channels: int) -> np.ndarray:
    """Return u8 [height, width, channels]: ramps with noise, in whole numbers, as `tests/core/pixels.ts` has them."""
    x, y, c = np.meshgrid(np.arange(width), np.arange(height), np.arange(channels), indexing="xy")
    noise = ((x * 73856093) ^ (y * 19349663) ^ (c * 83492791)) % 23
    return ((x * 3 + y * 2 + c * 40 + noise) % 256).astype(np.uint8)


def tables(quality: int) -> list[list[int]]:
    """Return libjpeg's tables at a quality, by rows."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG", quality=quality)
    buffer.seek(0)
    image = JpegImagePlugin.JpegImageFile(buffer)
    return [table for _, table in sorted(image.quantization.items())]


def file_order(table: list[int]) -> list[int]:
    """Return a table as a file has it, of one by rows, as Pillow has it."""
    ordered = [0] * 64
    for value, i in zip(table, JpegImagePlugin.zigzag_index, strict=True):
        ordered[i] = value
    return ordered


def cases() -> list[dict]:
    """Return all cases with their files."""
    wide = [[min(1 + 7 * i, 400) for i in range(64)]]
    asked = [
        *({"size": (43, 29), "channels": 3, "tables": tables(quality)} for quality in (75, 90, 95, 100)),
        {"size": (64, 40), "channels": 3, "tables": tables(30), "optimize": True},
        {"size": (43, 29), "channels": 3, "tables": tables(90), "optimize": True},
        {"size": (43, 29), "channels": 3, "tables": tables(90), "optimize": True, "progressive": True},
        {"size": (100, 70), "channels": 3, "tables": tables(98), "optimize": True, "progressive": True},
        {"size": (100, 70), "channels": 1, "tables": tables(85), "optimize": True, "progressive": True},
        {"size": (43, 29), "channels": 1, "tables": tables(85), "optimize": True, "dpi": (300, 72)},
        {"size": (1, 1), "channels": 3, "tables": tables(90), "optimize": True},
        {"size": (9, 17), "channels": 3, "tables": tables(90)[:1], "optimize": True},
        {"size": (33, 9), "channels": 3, "tables": [*tables(90), tables(70)[1]], "optimize": True, "icc": 700},
        {"size": (33, 9), "channels": 3, "tables": wide, "optimize": True},
    ]
    for case in asked:
        width, height = case["size"]
        array = pixels(width, height, case["channels"])
        image = Image.fromarray(array[..., 0] if case["channels"] == 1 else array)
        options = {"qtables": case["tables"], "subsampling": 0, "optimize": case.get("optimize", False)}
        options["progressive"] = case.get("progressive", False)
        if "dpi" in case:
            options["dpi"] = case["dpi"]
        if "icc" in case:
            options["icc_profile"] = bytes(i % 251 for i in range(case["icc"]))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", **options)
        case["tables"] = [file_order(table) for table in case["tables"]]
        case["file"] = base64.b64encode(buffer.getvalue()).decode()
    return asked


if __name__ == "__main__":
    Path(__file__).with_name("jpeg.json").write_text(json.dumps(cases()) + "\n")

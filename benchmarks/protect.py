"""What protecting a photo costs: time by stage, time to load, and peak memory, as one Markdown table.

    python benchmarks/protect.py [--artifacts DIR] [--steps K] [--threads N] [--face PIXELS] [--repeats N]

The photo is scikit-image's astronaut (public domain), enlarged until the box of her face is so many pixels wide, in a
JPEG of 4000 x 3000 pixels with the grain of a camera. Stages are medians over the repeats, after one run to warm up.
The peak memory is that of a fresh process that runs `face-encryption protect`; it can be read on Linux only.
"""

import argparse
import io
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from face_encryption.runtime import FaceEncryptionError, attack, photo, protector
from face_encryption.runtime.errors import STILL_A_MATCH
from face_encryption.runtime.onnx_runtime import ort
from face_encryption.runtime.settings import Settings

SIZE = (4000, 3000)
# Of the astronaut's face, in pixels of the original of 512 x 512: the width of its box, and the centre of that.
FACE, CENTRE = 95, (225, 130)
GRAIN = 4  # standard deviation in pixel levels

# What a fresh process says of itself at its end: seconds that the imports took, and the peak of its memory in KiB.
CHILD = """
import atexit, sys, time
start = time.perf_counter()
import numpy, PIL.Image, face_encryption.runtime.onnx_runtime
imports = time.perf_counter() - start
from face_encryption.runtime.cli import main
peak = lambda: next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
atexit.register(lambda: print(imports, peak()))
main(sys.argv[1:])
"""


def make_photo(face: int) -> bytes:
    """Return a JPEG of 12 megapixels with one face whose box is about `face` pixels wide."""
    from skimage import data

    astronaut = Image.fromarray(data.astronaut())
    scale = face / FACE
    suit = astronaut.crop((0, 400, 512, 512)).resize(SIZE)  # where the enlarged portrait ends
    # Affine: where each pixel of the result comes from.
    left, top = (centre - length / 2 / scale for centre, length in zip(CENTRE, SIZE, strict=True))
    place = (1 / scale, 0, left, 0, 1 / scale, top)
    portrait = astronaut.transform(SIZE, Image.Transform.AFFINE, place, Image.Resampling.BICUBIC)
    covered = Image.new("L", astronaut.size, 255).transform(SIZE, Image.Transform.AFFINE, place)
    pixels = np.asarray(Image.composite(portrait, suit, covered), np.float32)
    grain = np.random.default_rng(0).normal(0, GRAIN, (*pixels.shape[:2], 1)).astype(np.float32)
    file = io.BytesIO()
    Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=92)
    return file.getvalue()


class Stopwatch:
    """Adds up the time of calls by stage."""

    def __init__(self) -> None:
        """Start at nothing."""
        self.seconds: dict[str, float] = defaultdict(float)

    def watch(self, owner: Any, name: str, stage: str) -> None:
        """Replace a function by one that takes the same time and tells."""
        function: Callable[..., Any] = getattr(owner, name)

        def watched(*arguments: Any, **options: Any) -> Any:
            start = time.perf_counter()
            result = function(*arguments, **options)
            self.seconds[stage] += time.perf_counter() - start
            return result

        setattr(owner, name, watched)


def stages(work: Callable[[], object], repeats: int) -> dict[str, float]:
    """Return the median seconds of each stage, and of the whole."""
    watch = Stopwatch()
    for owner, name, stage in (
        (protector, "read_photo", "decode, upright"),
        (protector.Protector, "look", "look for faces"),
        (protector.Protector, "_embed", "what the surrogates see, three times"),
        (attack.CloakAttack, "__call__", "attack"),
        (photo.Photo, "encode", "encode"),
        (protector, "read_squares", "decode again, cut"),
    ):
        watch.watch(owner, name, stage)
    runs: dict[str, list[float]] = defaultdict(list)
    for _ in range(repeats + 1):
        watch.seconds.clear()
        start = time.perf_counter()
        work()
        total = time.perf_counter() - start
        for stage, seconds in watch.seconds.items():
            runs[stage].append(seconds)
        runs["cut, paste, differences"].append(total - sum(watch.seconds.values()))
        runs["all after loading"].append(total)
    return {stage: statistics.median(seconds[1:]) for stage, seconds in runs.items()}


def fresh_process(data: bytes, options: argparse.Namespace) -> tuple[float, float]:
    """Protect the photo in a new process; return the seconds of its imports, and its peak resident memory in MB."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.jpg"
        path.write_bytes(data)
        command = ["protect", path, "--artifacts", options.artifacts, "--steps", options.steps]
        command = [sys.executable, "-c", CHILD, *map(str, command), "--threads", str(options.threads)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode not in (0, STILL_A_MATCH):
            sys.exit(done.stderr)
    imports, peak = done.stdout.split()[-2:]
    return float(imports), int(peak) * 1024 / 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    parser.add_argument("--steps", type=int, default=10, help="of the cloak (10)")
    parser.add_argument("--threads", type=int, default=1, help="of one inference (1)")
    parser.add_argument(
        "--face",
        type=int,
        default=600,
        help="width of the face's box in pixels, from about 500 for the short-range detector (600)",
    )
    parser.add_argument("--repeats", type=int, default=7, help="runs of which the median counts (7)")
    options = parser.parse_args()

    settings = Settings(steps=options.steps)
    start = time.perf_counter()
    subject = protector.Protector(options.artifacts, options.threads)
    subject.check(settings)
    load = time.perf_counter() - start

    data = make_photo(options.face)
    x0, _, x1, _ = subject.protect(data, settings).faces[0].face.box
    timed = stages(lambda: subject.protect(data, settings), options.repeats)
    imports, peak = fresh_process(data, options)
    rows = {"imports: numpy, onnxruntime, Pillow": imports, "load detector, reference, attack": load} | timed
    width, height = SIZE
    print(
        f"{width} x {height} JPEG of {len(data) / 1e6:.1f} MB, one face of {x1 - x0:.0f} px, {options.steps} steps,"
        f" threads: {options.threads}, onnxruntime {ort.__version__}\n\n| stage | |\n| --- | ---: |"
    )
    for stage, seconds in rows.items():
        print(f"| {stage} | {seconds * 1000:.0f} ms |")
    print(f"| peak memory of `face-encryption protect` | {peak:.0f} MB |")


if __name__ == "__main__":
    try:
        main()
    except FaceEncryptionError as error:
        sys.exit(f"Error: {error}")

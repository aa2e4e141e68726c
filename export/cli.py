"""The command `face-encryption export`. PyTorch is imported when the command runs, not when its help is shown."""

import time
from importlib.resources import files
from pathlib import Path
from typing import Literal

import click

MODELS = Path(str(files("face_encryption.models")))
CHECKPOINT, SURROGATES = MODELS / "recognizer.safetensors", MODELS / "surrogates.toml"


@click.command()
@click.option("--checkpoint", type=click.Path(path_type=Path), default=CHECKPOINT, help="Default: the shipped one.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default="artifacts", show_default=True)
@click.option(
    "--arithmetic",
    type=click.Choice(["fp32", "int8"]),
    help="Of the attacks' gradients, and of the stored weights: int8 takes half the time and space, and rounds."
    "  [default: int8 where the checkpoint has been measured, as the shipped one has]",
)
@click.option(
    "--calibrate",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Photos of faces to measure a checkpoint on for --arithmetic int8. The shipped one has been measured.",
)
@click.option(
    "--surrogates",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=SURROGATES,
    help="Recognizers of others that join the cloak, an ONNX file or a TOML of several.  Default: the shipped one.",
)
@click.option(
    "--unroll",
    type=click.IntRange(1, 100),
    multiple=True,
    metavar="K",
    help="Also write both attacks with K steps written out, for runtimes without loops. May be given again.",
)
@click.option(
    "--side", type=click.IntRange(16, 4096), help="Of the squares that attacks written out take.  [default: any]"
)
@click.option("--detector-only", is_flag=True, help="Write detector.onnx alone, which training needs.")
def export(
    checkpoint: Path,
    out: Path,
    arithmetic: Literal["fp32", "int8"] | None,
    calibrate: Path | None,
    surrogates: Path,
    unroll: tuple[int, ...],
    side: int | None,
    detector_only: bool,
) -> None:
    """Write the ONNX graphs that a client needs, each compared with PyTorch."""
    from rich.console import Console
    from rich.table import Table

    from face_encryption.training.checkpoint import CheckpointError
    from face_encryption.training.distill.aligned import RecognizerError, read_recognizers

    from .defaults import FAR, FOREIGN_THRESHOLD
    from .detector.blazeface import DetectorFileError
    from .pipeline import export_artifacts, export_detector
    from .quantize.maps import RangesError
    from .specs import Unrolled
    from .validate import ParityError

    if calibrate and arithmetic == "fp32":
        raise click.UsageError("--calibrate is for --arithmetic int8")
    console = Console()
    start = time.perf_counter()
    try:
        if detector_only:
            out.mkdir(parents=True, exist_ok=True)
            console.print(f"wrote {export_detector(out)}")
            return
        with console.status("export") as status:
            others = read_recognizers(surrogates)
            for name, recognizer in others.items():
                if recognizer.threshold is None:
                    console.print(f"{name}: says no threshold; {FOREIGN_THRESHOLD} is taken at FAR {float(FAR):.0%}")
            checks = export_artifacts(
                checkpoint,
                out,
                others,
                lambda what: status.update(what),
                arithmetic,
                calibrate,
                Unrolled(unroll, side),
            )
    except (CheckpointError, DetectorFileError, ParityError, RangesError, RecognizerError) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{out}: cannot write the artifacts ({error.strerror})") from None
    table = Table("graph", "compared with PyTorch", "measured", "limit")
    for check in checks:
        table.add_row(check.graph, check.what, f"{check.measured:.2g}", f"{check.limit:g}")
    console.print(table)
    size = sum(file.stat().st_size for file in out.iterdir())
    console.print(f"wrote {out}: {size / 1e6:.1f} MB in {time.perf_counter() - start:.0f} s")

"""Checkpoint -> artifacts: every graph that a client needs, sharing one weights file, each validated."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir

from face_encryption.export import FORMAT_VERSION
from face_encryption.export.calibration import calibrate, faces_of, read_ranges, write_ranges
from face_encryption.export.cloak import Source
from face_encryption.export.detector import build_detector
from face_encryption.export.graphs import (
    FEATURE,
    LABEL,
    OBJECTIVES,
    cloak_graph,
    cloak_reference_graph,
    fold,
    gradient_graph,
    label_step_graph,
    recognizer_graph,
)
from face_encryption.export.integer import Arithmetic, RangesError, float_gradient, integer_gradient
from face_encryption.export.loop import looped
from face_encryption.export.others import other_source, other_surrogate, source
from face_encryption.export.precision import Precision, narrow_graph, narrow_weights
from face_encryption.export.validate import Check, Validator
from face_encryption.export.weights import WeightsFile
from face_encryption.training.checkpoint import CheckpointError, Description, load_checkpoint
from face_encryption.training.data.cutting import open_detector
from face_encryption.training.distill.aligned import AlignedRecognizer

WEIGHTS, RANGES = "weights.bin", "ranges.json"
OTHERS = ("detector.onnx", "recognizer.onnx", "cloak-reference.onnx", WEIGHTS)
MODELS = Path(str(files("face_encryption.models")))
# What an attack uses when nobody says otherwise; see `docs/artifacts.md`. A cloak's strength is a ladder: a face begins
# on its first rung, and while it is still a match goes on up to its last.
CLOAK_DEFAULTS: dict[str, Any] = {
    "strength": {
        "low": [{"budget": 0.015, "clamp": 12}, {"budget": 0.02, "clamp": 12}],
        "medium": [{"budget": 0.03, "clamp": 12}, {"budget": 0.04, "clamp": 16}],
        "high": [{"budget": 0.06, "clamp": 32}, {"budget": 0.09, "clamp": 32}],
    },
    "effort": {"fast": {"steps": 5}, "normal": {"steps": 12}, "thorough": {"steps": 24}},
}
# Epsilon by strength, in levels, and steps whose size suits an epsilon of 8. Momentum is the shortest way to a label,
# which is reached in a few steps.
LABEL_DEFAULTS: dict[str, Any] = {
    "epsilon": 8,
    "strength": {"low": 4, "medium": 8, "high": 12},
    "effort": {
        "fast": {"steps": 4, "step_size": 4},
        "normal": {"steps": 8, "step_size": 4},
        "thorough": {"steps": 8, "step_size": 2},
    },
    "momentum": 1,
    "diversity": 0,
}


def export_detector(folder: Path, models: Path = MODELS) -> Path:
    """Write `detector.onnx` from the vendored models; raises `DetectorFileError` when they are not the known files."""
    path = folder / "detector.onnx"
    onnx.save_model(build_detector(models), path)
    return path


def describe(description: Description, digest: str) -> dict[str, str]:
    """Return the metadata that the recognizer and all attacks share; `digest` is the sha256 of the checkpoint."""
    return {
        "version": version("face-encryption"),
        "input_size": str(description.input_size),
        "mean": json.dumps(description.mean),
        "std": json.dumps(description.std),
        "classes": json.dumps(description.classes),
        "crop_margin": str(description.crop_margin),
        "thresholds": json.dumps(description.thresholds),
        "training_data": description.training_data,
        "licence": description.licence,
        "checkpoint_sha256": digest,
    }


def _label(model: onnx.ModelProto, kind: str, metadata: dict[str, str]) -> None:
    entries = {"kind": kind, "format_version": FORMAT_VERSION, **metadata}
    onnx.helper.set_model_props(model, {f"face_encryption.{key}": value for key, value in entries.items()})


def export_artifacts(
    checkpoint: Path,
    out: Path,
    others: dict[str, AlignedRecognizer] | None = None,
    report: Callable[[str], None] = print,
    precision: Precision = "fp32",
    arithmetic: Arithmetic | None = None,
    photos: Path | None = None,
) -> list[Check]:
    """Write a folder of validated graphs; `report` is told what is being made.

    `others` are recognizers whose gradients join ours in the cloak.
    `precision` is that of our own stored weights; graphs of rounded weights are compared with PyTorch on the same
    weights. `arithmetic` is that of the convolutions of the attacks on our own recognizer; int8 takes the ranges beside
    the checkpoint, as they are beside the shipped one, or measures them on the faces in a folder of `photos` and writes
    them to `out`. None is int8 where the checkpoint's ranges or photos are at hand, else fp32. The graphs appear in
    `out` together, after all of them have passed; graphs of an earlier export are replaced. Returns every comparison
    with PyTorch.
    Raises `CheckpointError`, `DetectorFileError`, `RangesError`, `RecognizerError` or `ParityError`.
    """
    model, description = load_checkpoint(checkpoint)
    if "0.01" not in description.thresholds:
        raise CheckpointError(
            f"{checkpoint}: says no threshold; train with photos of two people to test on, or --pairs"
        )
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    ranges: dict[str, list[float]] = {}
    if arithmetic != "fp32" and not photos:
        try:
            ranges = read_ranges(checkpoint.with_name(RANGES), digest)
        except RangesError:
            if arithmetic == "int8":
                raise
            arithmetic = "fp32"
    arithmetic = arithmetic or "int8"
    integer = arithmetic == "int8"
    surrogate = fold(model, description)
    stored = narrow_weights(model, surrogate, precision)
    shared = describe(description, digest) | {"precision": precision, "arithmetic": arithmetic}
    weights = WeightsFile(WEIGHTS)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as name:
        folder = Path(name)

        def save(file: str, kind: str, graph: ir.Model, extra: dict[str, str]) -> None:
            model = ir.serde.serialize_model(graph)
            _label(model, kind, shared | extra)
            narrow_graph(model, stored)
            weights.move(model)
            onnx.save_model(model, folder / file)

        report("detector.onnx")
        export_detector(folder)
        floats = {each.name: float_gradient(surrogate, each) for each in OBJECTIVES} if integer else {}
        if integer and photos:
            report("calibrating")
            faces = faces_of(photos, open_detector(folder / "detector.onnx"), description.crop_margin)
            ranges = {each.name: calibrate(floats[each.name], surrogate, each, faces) for each in OBJECTIVES}
            write_ranges(folder / RANGES, digest, ranges)
        report("recognizer.onnx")
        save("recognizer.onnx", "recognizer", recognizer_graph(surrogate), {"defaults": "{}"})

        def save_cloak(gradients: list[ir.Model], sources: list[Source], extra: dict[str, str]) -> None:
            turns = range(len(sources))
            for turn in turns:
                report(f"attack-feature-step-{turn}.onnx")
                step = cloak_graph(gradients, sources, [turn])
                save(f"attack-feature-step-{turn}.onnx", "attack-feature-step", step, extra)
            report("attack-feature.onnx")
            rounds = looped(cloak_graph(gradients, sources, turns), len(turns))
            save("attack-feature.onnx", "attack-feature", rounds, extra)

        own = {
            each: integer_gradient(floats[each.name], ranges[each.name]) if integer else gradient_graph(surrogate, each)
            for each in OBJECTIVES
        }
        step = label_step_graph(own[LABEL], description.input_size)
        for kind, graph in (("attack-label-step", step), ("attack-label", looped(step))):
            report(f"{kind}.onnx")
            save(f"{kind}.onnx", kind, graph, {"defaults": json.dumps(LABEL_DEFAULTS)})
        others = others or {}
        surrogates = {name: other_surrogate(recognizer) for name, recognizer in others.items()}
        sources = [source(surrogate), *(other_source(each, surrogates[name]) for name, each in others.items())]
        gradients = [own[FEATURE], *(gradient_graph(each, FEATURE) for each in surrogates.values())]
        cloak = {"defaults": json.dumps(CLOAK_DEFAULTS), "surrogates": json.dumps(["ours", *surrogates])}
        save_cloak(gradients, sources, cloak)
        if others:
            report("cloak-reference.onnx")
            graph = cloak_reference_graph([gradient_graph(surrogate, FEATURE), *gradients[1:]], sources)
            save("cloak-reference.onnx", "cloak-reference", graph, cloak)
        weights.write(folder)

        report("comparing with PyTorch")
        validator = Validator(model if precision == "fp32" else surrogate.model, description, folder, arithmetic)
        validator.detector("detector.onnx")
        validator.recognizer("recognizer.onnx")
        validator.label_step("attack-label-step.onnx")
        validator.label_attack("attack-label.onnx")
        for turn in range(len(sources)):
            validator.cloak_step(f"attack-feature-step-{turn}.onnx", sources, turn)
        validator.cloak("attack-feature.onnx", sources)
        if others:
            validator.cloak_reference("cloak-reference.onnx", sources)
        validator.raise_failures()
        _replace(folder, out)
    return validator.checks


def _replace(folder: Path, out: Path) -> None:
    """Move the new graphs in place of the old ones, and leave other files of the folder alone."""
    out.mkdir(exist_ok=True)
    for old in [*out.glob("attack-*.onnx"), *(out / name for name in OTHERS)]:
        old.unlink(missing_ok=True)
    for file in folder.iterdir():
        shutil.move(file, out / file.name)

"""Checkpoint -> artifacts: every graph that a client needs, sharing one weights file, each validated."""

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import onnx
import onnx_ir as ir
from torch import nn

from face_encryption.training.checkpoint import CheckpointError, Description, load_checkpoint
from face_encryption.training.data.cutting import open_detector
from face_encryption.training.distill.aligned import AlignedRecognizer, RecognizerError
from face_encryption.training.distill.onnx_network import OnnxNetwork

from .attack.cloak import Source
from .attack.ensemble import other_source, other_surrogate, source
from .attack.surrogate import FEATURE, LABEL, OBJECTIVES, Objective, Surrogate, fold
from .defaults import FAR
from .detector.build import build_detector
from .graph.build import gradient_graph
from .graph.weights import WeightsFile
from .manifest import MANIFEST, OWN, describe, sha256, write_manifest
from .quantize.calibration import Cut, calibrate, faces_of, images_of, read_ranges, write_ranges
from .quantize.float_form import float_gradient
from .quantize.integer import Arithmetic, integer_gradient
from .quantize.maps import Range, RangesError
from .quantize.precision import Narrow, narrow_graph, narrow_network, narrow_weights
from .quantize.rounding import round_weights
from .specs import (
    GraphSpec,
    Unrolled,
    detector_spec,
    feature_specs,
    label_specs,
    recognizer_spec,
    reference_spec,
)
from .validate import Check, Validator

WEIGHTS, RANGES = "weights.bin", "ranges.json"
MODELS = Path(str(files("face_encryption.models")))
# Of an earlier export, besides attacks. The manifest goes first and comes last: a folder with one is whole.
OTHERS = (MANIFEST, "detector.onnx", "recognizer.onnx", "cloak-reference.onnx", WEIGHTS)
NOTHING = Unrolled()
# By the name of an objective of ours, or the digest of another's recognizer.
Ranges = dict[str, list[Range]]


def export_detector(folder: Path, models: Path = MODELS) -> Path:
    """Write `detector.onnx` from the vendored models; raises `DetectorFileError` when they are not the known files.

    It is all that training needs. There is no manifest beside it: for clients a folder is whole or nothing.
    """
    path = folder / "detector.onnx"
    onnx.save_model(build_detector(models), path)
    return path


class GraphWriter:
    """Saves the graphs of one folder, which share a weights file, and keeps their specs in order."""

    def __init__(self, folder: Path, checkpoint_sha256: str, stored: dict[str, Narrow]) -> None:
        """Take the folder, and what is stored of our recognizer's weights."""
        self.folder, self.specs = folder, list[GraphSpec]()
        self.weights, self._digest, self._stored = WeightsFile(WEIGHTS), checkpoint_sha256, stored

    def save(self, spec: GraphSpec) -> None:
        """Build a graph and save it, with what it says of itself: its kind, and of which checkpoint it is."""
        model = spec.build()
        if spec.shares_weights:
            facts = {"kind": spec.kind, "checkpoint_sha256": self._digest}
            onnx.helper.set_model_props(model, {f"face_encryption.{key}": value for key, value in facts.items()})
            narrow_graph(model, self._stored)
            self.weights.move(model)
        onnx.save_model(model, self.folder / spec.file)
        self.specs.append(spec)

    def check(self, validator: Validator) -> list[Check]:
        """Compare all graphs, after their weights are written, with PyTorch. Raises `ParityError`."""
        for spec in self.specs:
            spec.check(validator, spec.file)
        validator.raise_failures()
        return validator.checks


def export_artifacts(
    checkpoint: Path,
    out: Path,
    surrogates: Mapping[str, AlignedRecognizer] | None = None,
    report: Callable[[str], None] = print,
    arithmetic: Arithmetic | None = None,
    photos: Path | None = None,
    unrolled: Unrolled = NOTHING,
) -> list[Check]:
    """Write a folder of validated graphs and their manifest; `report` is told what is being made.

    `surrogates` are recognizers of others, by name, whose gradients join ours in the cloak: in their order, ours last.
    `arithmetic` is that of the attacks' gradients, and of the weights that all graphs share: int8 rounds these, and the
    graphs are compared with PyTorch on the same weights; for fp32 they are stored in fp16. int8 takes the ranges beside
    the checkpoint, as they are beside the shipped one, or measures them on the faces in a folder of `photos` and writes
    them to `out`. Others' recognizers that have no ranges there stay in floats. None is int8 where the checkpoint's
    ranges or photos are at hand, else fp32. The graphs appear in `out` together, after all of them have passed; graphs
    of an earlier export are replaced.
    Returns every comparison with PyTorch. `unrolled` says which attacks are written out besides the cloak of effort
    `fast`.
    Raises `CheckpointError`, `DetectorFileError`, `RangesError`, `RecognizerError` or `ParityError`.
    """
    if OWN in (surrogates := surrogates or {}):
        raise RecognizerError(f"a surrogate cannot be named {OWN}, as our own is")
    model, description = _load(checkpoint)
    digest = sha256(checkpoint)
    ranges = {} if photos else ranges_at_hand(checkpoint, digest, arithmetic)
    own = fold(model, description)
    others = {name: other_surrogate(each) for name, each in surrogates.items()}
    calibrating = photos is not None and arithmetic != "fp32"
    integer = calibrating or bool(ranges)
    stored = narrow_weights(model, own, "int8" if integer else "fp16")
    for name, other in others.items():
        assert isinstance(other.model, OnnxNetwork)
        if not calibrating and surrogates[name].digest not in ranges:
            stored |= narrow_network(other.model)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as name:
        writer = GraphWriter(Path(name), digest, stored)
        report("detector.onnx")
        writer.save(detector_spec(MODELS))
        if photos and calibrating:
            report("calibrating")
            detector = open_detector(writer.folder / "detector.onnx")
            faces = faces_of(photos, detector, description.crop_margin)
            ranges = _measure_ranges(own, faces, surrogates, others)
            write_ranges(writer.folder / RANGES, digest, ranges)
        gradients = {each.name: _gradient(own, each, ranges.get(each.name)) for each in OBJECTIVES}
        foreign, sources = _join(surrogates, others, own, ranges)
        for spec in (
            recognizer_spec(own),
            *label_specs(gradients[LABEL.name], description.input_size, unrolled),
            *feature_specs([*foreign, gradients[FEATURE.name]], sources, unrolled),
            reference_spec([*foreign, gradients[FEATURE.name]], sources),
        ):
            report(spec.file)
            writer.save(spec)
        writer.weights.write(writer.folder)
        report("comparing with PyTorch")
        integers = [*(each.digest in ranges for each in surrogates.values()), integer]
        # Folded weights of fp16 are the checkpoint's own.
        checks = writer.check(Validator(own.model if integer else model, description, writer.folder, integers))
        facts = describe(description, digest, surrogates, sources, "int8" if integer else "fp32")
        write_manifest(writer.folder, writer.specs, facts)
        _replace(writer.folder, out)
    return checks


def _load(checkpoint: Path) -> tuple[nn.Module, Description]:
    model, description = load_checkpoint(checkpoint)
    if FAR not in description.thresholds:
        raise CheckpointError(
            f"{checkpoint}: says no threshold; train with photos of two people to test on, or --pairs"
        )
    return model, description


def ranges_at_hand(checkpoint: Path, digest: str, arithmetic: Arithmetic | None) -> Ranges:
    """Return the ranges beside the checkpoint; none where floats are asked for, or may take the place of integers."""
    if arithmetic == "fp32":
        return {}
    try:
        return read_ranges(checkpoint.with_name(RANGES), digest)
    except RangesError:
        if arithmetic == "int8":
            raise
        return {}


def _measure_ranges(
    own: Surrogate,
    faces: Sequence[Cut],
    recognizers: Mapping[str, AlignedRecognizer],
    others: Mapping[str, Surrogate],
) -> Ranges:
    ranges, images = Ranges(), images_of(source(own), faces)
    for each in OBJECTIVES:
        ranges[each.name] = calibrate(float_gradient(own, each), own, each, images)
    for name, recognizer in recognizers.items():
        images = images_of(other_source(recognizer, others[name]), faces)
        model = float_gradient(others[name], FEATURE)
        ranges[recognizer.digest] = calibrate(model, others[name], FEATURE, images)
    return ranges


def _gradient(
    surrogate: Surrogate,
    objective: Objective,
    ranges: list[Range] | None,
) -> ir.Model:
    """Return the gradient of a recognizer, in integers where there are ranges."""
    if ranges is None:
        return gradient_graph(surrogate, objective)
    return round_weights(integer_gradient(float_gradient(surrogate, objective), ranges))


def _join(
    recognizers: Mapping[str, AlignedRecognizer], others: Mapping[str, Surrogate], own: Surrogate, ranges: Ranges
) -> tuple[list[ir.Model], list[Source]]:
    """Return the others' `FEATURE` gradients, and the sources of the cloak: theirs, then ours."""
    sources = [*(other_source(each, others[name]) for name, each in recognizers.items()), source(own)]
    gradients = [_gradient(others[name], FEATURE, ranges.get(each.digest)) for name, each in recognizers.items()]
    return gradients, sources


def _replace(folder: Path, out: Path) -> None:
    """Move the new graphs in place of the old ones, and leave other files of the folder alone."""
    out.mkdir(exist_ok=True)
    for old in [*(out / name for name in OTHERS), *out.glob("attack-*.onnx")]:
        old.unlink(missing_ok=True)
    for file in sorted(folder.iterdir(), key=lambda file: file.name == MANIFEST):
        shutil.move(file, out / file.name)

"""`manifest.json`: what a client has to know of a folder of artifacts, in one file that any language reads."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx
from onnx import helper

from face_encryption.training.checkpoint import Description
from face_encryption.training.distill.aligned import AlignedRecognizer

from .attack.cloak import Source, turns_of
from .defaults import (
    CLOAK_DEFAULTS,
    DETECTOR_DEFAULTS,
    FAR,
    FOREIGN_THRESHOLD,
    LABEL_DEFAULTS,
    MATCH_DEFAULTS,
)
from .detector.blazeface import KINDS
from .specs import GraphSpec

MANIFEST = "manifest.json"
# Of the manifest and of all that it describes; see `docs/artifacts.md`.
FORMAT = 8
# What our own recognizer is called among the surrogates.
OWN = "recognizer"

Json = dict[str, Any]


def write_manifest(folder: Path, specs: Sequence[GraphSpec], facts: Json) -> None:
    """Write the manifest of a folder that holds these graphs; `facts` are what `describe` returned."""
    manifest = {
        "format": FORMAT,
        "version": version("face-encryption"),
        "files": {path.name: _file(path) for path in sorted(folder.iterdir()) if path.name != MANIFEST},
        "graphs": {spec.name: _graph(folder, spec) for spec in specs},
        **facts,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def describe(
    description: Description,
    checkpoint_sha256: str,
    foreign: Mapping[str, AlignedRecognizer],
    sources: Sequence[Source],
    arithmetic: str,
) -> Json:
    """Return what the manifest says besides files and graphs.

    `foreign` are the recognizers of others by name, `sources` theirs in the same order and ours behind them.
    """
    names = [*foreign, OWN]
    thresholds = [*({FAR: _threshold(each)} for each in foreign.values()), description.thresholds]
    return {
        "recognizer": {
            "input_size": description.input_size,
            "embedding": sources[-1].dimensions,
            "classes": description.classes,
            "thresholds": description.thresholds,
            "crop_margin": description.crop_margin,
            "training_data": description.training_data,
            "arithmetic": arithmetic,
        },
        "surrogates": [
            {"name": name, "embedding": source.dimensions, "thresholds": each}
            for name, source, each in zip(names, sources, thresholds, strict=True)
        ],
        "match": MATCH_DEFAULTS,
        "detector": DETECTOR_DEFAULTS,
        "cloak": {"turns": turns_of(len(sources)), **CLOAK_DEFAULTS},
        "label": LABEL_DEFAULTS,
        "licences": _licences(description, checkpoint_sha256, foreign),
        "checkpoint_sha256": checkpoint_sha256,
    }


def sha256(path: Path) -> str:
    """Return the hash of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _threshold(recognizer: AlignedRecognizer) -> float:
    return FOREIGN_THRESHOLD if recognizer.threshold is None else recognizer.threshold


def _licences(description: Description, digest: str, foreign: Mapping[str, AlignedRecognizer]) -> list[Json]:
    own = {"what": OWN, "licence": description.licence, "source": description.training_data, "sha256": digest}
    detectors = [
        {"what": f"detector, {name}", "licence": "Apache-2.0", "source": kind.source, "sha256": kind.sha256}
        for name, kind in KINDS.items()
    ]
    others = [
        {"what": name, "licence": each.licence, "source": each.source, "sha256": sha256(each.path)}
        for name, each in foreign.items()
    ]
    return [own, *detectors, *others]


def _file(path: Path) -> Json:
    return {"sha256": sha256(path), "bytes": path.stat().st_size}


def _graph(folder: Path, spec: GraphSpec) -> Json:
    graph = onnx.load(folder / spec.file, load_external_data=False).graph
    return {
        "file": spec.file,
        "kind": spec.kind,
        "inputs": [_value(value) for value in graph.input],
        "outputs": [_value(value) for value in graph.output],
        **spec.facts,
    }


def _value(value: onnx.ValueInfoProto) -> Json:
    """Describe an input or output; a size that is not fixed has a name, the same one for sizes that are equal."""
    tensor = value.type.tensor_type
    shape = [size.dim_param or size.dim_value for size in tensor.shape.dim]
    return {"name": value.name, "dtype": helper.tensor_dtype_to_np_dtype(tensor.elem_type).name, "shape": shape}

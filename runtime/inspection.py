"""What a folder of artifacts holds, for people."""

from pathlib import Path

from .artifacts import Artifacts
from .manifest import OWN, Manifest


def inspect_folder(folder: Path) -> Manifest:
    """Read the manifest of a folder and compare all its files with it.

    Raises:
        ArtifactsError: there is no such folder, the manifest cannot be read, or a file is missing or differs from it.
    """
    manifest = Artifacts(folder).manifest
    for name in manifest.files:
        manifest.verified(name)
    return manifest


def table(manifest: Manifest) -> str:
    """Return what there is to know of a folder as lines to read."""
    kinds = {graph.file: graph.kind for graph in manifest.graphs.values()}
    rows = [("file", "MB", "kind", "sha256")]
    for name, file in manifest.files.items():
        rows.append((name, f"{file.size / 1e6:.1f}", kinds.get(name, ""), file.sha256[:12]))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    own = manifest.recognizer
    thresholds = {OWN: own.threshold} | {each.name: each.threshold for each in manifest.surrogates}
    lines += [
        f"format {manifest.content['format']}, written by version {manifest.content.get('version', 'unknown')}",
        f"checkpoint {manifest.checkpoint_sha256[:12]}, {len(own.classes)} classes",
    ]
    far = float(manifest.far)
    lines += [f"threshold at FAR {far:.1%}, {name}: similarity {at:.3f}" for name, at in thresholds.items()]
    return "\n".join(lines)

"""The command `face-encryption inspect`: what a folder of artifacts holds, for people."""

import json
from pathlib import Path

import click

from ..manifest import OWN, Manifest
from . import options


@click.command()
@click.argument("folder", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print all of the manifest, as JSON.")
@options.artifacts
def inspect(folder: str | None, as_json: bool, artifacts: str | None) -> None:
    """Print what a folder of artifacts holds, and check its files; without FOLDER, the one that `protect` would use."""
    manifest = inspect_folder(folder or artifacts)
    click.echo(json.dumps(manifest.content, indent=2) if as_json else table(manifest))


def inspect_folder(folder: Path | str | None) -> Manifest:
    """Read the manifest of a folder, or of the one that is used where none is named, and compare its files with it.

    Raises:
        ArtifactsError: there is no such folder, the manifest cannot be read, or a file is missing or differs from it.
    """
    from ..artifacts import Artifacts

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

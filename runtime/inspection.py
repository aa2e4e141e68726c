"""What a folder of artifacts holds, for people and for machines."""

import json
import os
from pathlib import Path
from typing import Any

from .artifacts import Artifacts, Graph
from .errors import ArtifactsError

# Metadata that is written as JSON inside of its text.
_STRUCTURED = ("classes", "thresholds", "defaults", "surrogates", "mean", "std")


def inspect_folder(folder: Path) -> dict[str, Any]:
    """Return what the graphs in a folder say of themselves, as JSON types.

    Returns:
        "folder"; "graphs", each with "file", "bytes" and "metadata"; "weights", each with "file" and "bytes".

    Raises:
        ArtifactsError: there is no such folder or no graph in it, or one cannot be read.
    """
    files = [folder / name for name in Artifacts(folder).files() if os.path.isfile(folder / name)]
    if not any(path.suffix == ".onnx" for path in files):
        raise ArtifactsError(f"{folder}: no .onnx file in this folder; run `face-encryption export`")
    return {
        "folder": str(folder),
        "graphs": [
            {"file": path.name, "bytes": path.stat().st_size, "metadata": _metadata(Graph(path))}
            for path in files
            if path.suffix == ".onnx"
        ],
        "weights": [
            {"file": path.name, "bytes": path.stat().st_size} for path in files if path.suffix in {".bin", ".data"}
        ],
    }


def table(found: dict[str, Any]) -> str:
    """Return the result of `inspect_folder` as a table to read."""
    rows = [("file", "MB", "kind", "version", "classes", "checkpoint")]
    thresholds: dict[str, float] = {}
    for graph in found["graphs"]:
        metadata = graph["metadata"]
        classes = metadata.get("classes")
        rows.append(
            (
                graph["file"],
                f"{graph['bytes'] / 1e6:.1f}",
                metadata.get("kind", "?"),
                metadata["format_version"],
                str(len(classes)) if classes else "",
                metadata.get("checkpoint_sha256", "")[:12],
            )
        )
        thresholds |= metadata.get("thresholds", {})
    rows += [(weights["file"], f"{weights['bytes'] / 1e6:.1f}", "weights", "", "", "") for weights in found["weights"]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += [f"threshold at FAR {float(far):.1%}: similarity {value:.3f}" for far, value in sorted(thresholds.items())]
    return "\n".join(lines)


def _metadata(graph: Graph) -> dict[str, Any]:
    return {key: graph.value(key, json.loads) if key in _STRUCTURED else graph.text(key) for key in graph.keys}

"""One weights file for all graphs of a folder: a tensor that several graphs hold is written once."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import onnx
from onnx import external_data_helper

# Smaller tensors stay inside their graph; larger ones start on a page of the file, so that a runtime may map them.
SMALLEST = 1024
ALIGNMENT = 4096


def with_bodies(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Yield a graph and the bodies of the loops in it."""
    yield graph
    for body in (attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g")):
        yield from with_bodies(body)


class WeightsFile:
    """Collects the large tensors of graphs; `write` puts them on the disk."""

    def __init__(self, name: str) -> None:
        """Begin an empty file that graphs will refer to by `name`, relative to their own folder."""
        self.name = name
        self.content = bytearray()
        self.offsets: dict[str, int] = {}

    def move(self, model: onnx.ModelProto) -> None:
        """Move the large initialisers of a graph into this file, unless an equal tensor is there already."""
        for tensor in (each for graph in with_bodies(model.graph) for each in graph.initializer):
            if not tensor.HasField("raw_data") or len(tensor.raw_data) < SMALLEST:
                continue
            data = tensor.raw_data
            digest = hashlib.sha256(data).hexdigest()
            if digest not in self.offsets:
                self.content.extend(bytes(-len(self.content) % ALIGNMENT))
                self.offsets[digest] = len(self.content)
                self.content.extend(data)
            external_data_helper.set_external_data(tensor, self.name, self.offsets[digest], len(data))
            tensor.ClearField("raw_data")

    def write(self, folder: Path) -> None:
        """Write the file, whole or not at all."""
        partial = folder / (self.name + ".partial")
        partial.write_bytes(self.content)
        partial.replace(folder / self.name)

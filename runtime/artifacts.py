"""The exported graphs: a folder of `.onnx` files that say in their own metadata what they are and how to use them."""

import contextlib
import ctypes
import io
import json
import os
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar

from .errors import ArtifactsError
from .onnx_runtime import ort

FORMAT_VERSION = "6"
_PREFIX = "face_encryption."
_QUIET = 4  # fatal errors only: whatever goes wrong is reported by an exception

_METADATA_PROPS = 14  # the field of this number in ONNX's ModelProto

# "feature" moves away from any face's embedding, "label" towards or away from a class of the recognizer.
AttackKind = Literal["label", "feature"]

T = TypeVar("T")


class Graph:
    """One graph on the CPU with its metadata; the graph itself is loaded when it is first run.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        """Read the metadata of a graph.

        Args:
            path: an exported `.onnx` file; its external weights file is expected beside it.
            threads: how many threads one inference uses; None for one per core.

        Raises:
            ArtifactsError: the file is missing, damaged, or of another format version.
        """
        self.path = path
        self._threads = threads
        if not os.path.isfile(path):
            raise ArtifactsError(
                f"{path}: no such file; run `face-encryption export`, or name its folder by --artifacts"
            )
        try:
            self._metadata = _read_metadata(path)
        except (OSError, ValueError) as error:
            raise ArtifactsError(f"{path}: cannot be read ({_one_line(error)}); export again") from error
        if (version := self.text("format_version")) != FORMAT_VERSION:
            raise ArtifactsError(
                f"{path}: format version {version}, this program reads {FORMAT_VERSION}; export again with this version"
            )

    @cached_property
    def _session(self) -> Any:
        options = ort.SessionOptions()
        options.log_severity_level = _QUIET
        options.intra_op_num_threads = self._threads or 0
        # Threads that wait for more of the same would take the cores from the graph that is run next.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        kind = self.text("kind")
        if not kind.startswith("attack"):
            # Memory held for the next run of a graph that runs once or twice a photo is not worth it,
            options.enable_cpu_mem_arena = False
            # nor a second copy of its weights, in the blocked layout; the detector's are small and run in loops.
            if kind != "detector":
                options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        try:
            session = ort.InferenceSession(str(self.path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions share no base class
            if _is_no_memory(error):
                raise ArtifactsError(f"{self.path}: not enough memory to load it") from error
            raise ArtifactsError(f"{self.path}: cannot be loaded ({_one_line(error)}); export again") from error
        _return_free_memory()
        return session

    @property
    def keys(self) -> list[str]:
        """The keys of the metadata, without the common prefix."""
        return sorted(key.removeprefix(_PREFIX) for key in self._metadata if key.startswith(_PREFIX))

    def text(self, key: str) -> str:
        """Return what the graph says under a key of its metadata, given without the common prefix.

        Raises:
            ArtifactsError: the key is missing.
        """
        if (text := self._metadata.get(_PREFIX + key)) is None:
            raise ArtifactsError(f"{self.path}: the metadata lacks {_PREFIX}{key}; export again")
        return text

    def value(self, key: str, convert: Callable[[str], T]) -> T:
        """Return what the graph says under a key, converted.

        Raises:
            ArtifactsError: the key is missing, or `convert` cannot read what it holds.
        """
        text = self.text(key)
        try:
            return convert(text)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise ArtifactsError(
                f"{self.path}: the metadata {_PREFIX}{key} cannot be read ({_one_line(error)}); export again"
            ) from error

    def load(self) -> None:
        """Load the graph now rather than when it is first run.

        Raises:
            ArtifactsError: it cannot be loaded.
        """
        _ = self._session

    def run(self, output_names: list[str], input_feed: dict[str, Any]) -> list[Any]:
        """Run the graph, as `onnxruntime.InferenceSession.run` does.

        Raises:
            ArtifactsError: the graph cannot be loaded, does not take these inputs, or fails on them.
            MemoryError: there is too little memory for these inputs.
        """
        session = self._session
        try:
            return list(session.run(output_names, input_feed))
        except Exception as error:  # as above
            if _is_no_memory(error):
                raise MemoryError from error
            raise ArtifactsError(f"{self.path}: cannot be run ({_one_line(error)})") from error


class Artifacts:
    """The graphs in one folder, each read when it is first asked for.

    Attributes:
        folder: where the graphs are.
    """

    def __init__(self, folder: Path | str, threads: int | None = None) -> None:
        """Name the folder; nothing in it is read yet.

        Args:
            folder: what `face-encryption export` wrote.
            threads: how many threads one inference uses; None for one per core.

        Raises:
            ArtifactsError: there is no such folder.
        """
        self.folder = Path(folder)
        self._threads = threads
        self._attacks: dict[AttackKind, Graph] = {}
        if not os.path.isdir(self.folder):
            raise ArtifactsError(
                f"{self.folder}: no such folder; run `face-encryption export`, or name it by --artifacts"
            )

    @cached_property
    def detector(self) -> Graph:
        """The face detector. Raises `ArtifactsError` when it cannot be read."""
        return self._load("detector.onnx", "detector")

    @cached_property
    def recognizer(self) -> Graph:
        """The recogniser. Raises `ArtifactsError` when it cannot be read."""
        return self._load("recognizer.onnx", "recognizer")

    @cached_property
    def cloak_reference(self) -> Graph:
        """What all recognizers of the cloak see in a face. Raises `ArtifactsError` when it cannot be read."""
        return self._of_same_checkpoint(self._load("cloak-reference.onnx", "cloak-reference"))

    def files(self) -> list[str]:
        """Return the names of what is in the folder, sorted.

        Raises:
            ArtifactsError: the folder cannot be read.
        """
        try:
            return sorted(os.listdir(self.folder))
        except OSError as error:
            raise ArtifactsError(f"{self.folder}: cannot be read ({error.strerror})") from error

    @property
    def several(self) -> bool:
        """Whether other recognizers joined ours in the cloak. Raises `ArtifactsError` when it cannot be read."""
        return self.attack("feature").value("surrogates", lambda text: len(json.loads(text))) > 1

    def attack(self, kind: AttackKind) -> Graph:
        """Return the attack of a kind.

        Raises:
            ArtifactsError: there is no such attack, or it cannot be read, or it was exported from another checkpoint
                than the recogniser.
        """
        if kind not in self._attacks:
            graph = self._load(f"attack-{kind}.onnx", f"attack-{kind}")
            self._attacks[kind] = self._of_same_checkpoint(graph)
        return self._attacks[kind]

    def _of_same_checkpoint(self, graph: Graph) -> Graph:
        if graph.text("checkpoint_sha256") != self.recognizer.text("checkpoint_sha256"):
            raise ArtifactsError(
                f"{graph.path}: exported from another checkpoint than {self.recognizer.path.name}; export again"
            )
        return graph

    def _load(self, name: str, kind: str) -> Graph:
        graph = Graph(self.folder / name, self._threads)
        if (found := graph.text("kind")) != kind:
            raise ArtifactsError(f"{graph.path}: holds a graph of the kind {found}, not {kind}; export again")
        return graph


def _return_free_memory() -> None:
    """Give the system back what loading an attack has freed, 80 to 150 MB that glibc keeps and pictures hardly use."""
    # Systems with another C library have no such function.
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def threshold_at(far: str) -> Callable[[str], float]:
    """Return a converter for the metadata `thresholds`: the similarity threshold at a false accept rate, as "0.01"."""
    return lambda text: float(json.loads(text)[far])


def names(text: str) -> list[str]:
    """Convert the metadata `classes`: the identities that the recogniser was trained on."""
    classes = json.loads(text)
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes) or not classes:
        raise ValueError("not a list of names")
    return classes


def _read_metadata(path: Path) -> dict[str, str]:
    """Return the `metadata_props` of an ONNX file.

    onnxruntime gives them only after it has loaded the graph with its weights, which takes a hundred times as long.

    Raises:
        ValueError: the file is no ONNX file, or is cut off.
    """
    with path.open("rb") as file:
        entries = [dict(_fields(io.BytesIO(entry), {1, 2})) for _, entry in _fields(file, {_METADATA_PROPS})]
        if file.tell() > path.stat().st_size:
            raise ValueError("the file is cut off")
    return {entry.get(1, b"").decode(): entry.get(2, b"").decode() for entry in entries}


def _fields(file: BinaryIO, wanted: set[int]) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the content of the wanted fields of a protocol buffers message that hold bytes."""
    while (tag := _varint(file)) is not None:
        number, wire_type = tag >> 3, tag & 7
        if wire_type == 0:
            _varint(file)
        elif wire_type == 2 and (length := _varint(file)) is not None:
            if number in wanted:
                yield number, file.read(length)
            else:
                file.seek(length, io.SEEK_CUR)
        else:
            raise ValueError("not an ONNX file")


def _varint(file: BinaryIO) -> int | None:
    """Read a number of seven bits a byte, the lowest first; None at the end of the file."""
    value = shift = 0
    while byte := file.read(1):
        value |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            return value
        if shift > 63:
            raise ValueError("not an ONNX file")
    return None


def _is_no_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "bad_alloc" in str(error) or "Failed to allocate" in str(error)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:200] + "..."

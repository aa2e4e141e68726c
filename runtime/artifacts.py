"""The exported graphs: a folder of `.onnx` files, of which `manifest.json` says what they are and how to use them."""

import contextlib
import ctypes
import os
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from .errors import ArtifactsError
from .manifest import GraphFacts, Manifest
from .manifest_reader import read_manifest
from .onnx_runtime import ort

WEIGHTS = "weights.bin"
# In a wheel that `make wheel` has made.
PACKED = Path(__file__).with_name("packed_artifacts")
_PREFIX = "face_encryption."
_QUIET = 4  # fatal errors only: whatever goes wrong is reported by an exception


class Graph:
    """One graph on the CPU, loaded when it is first run.

    Attributes:
        path: the file.
    """

    def __init__(self, manifest: Manifest, facts: GraphFacts, threads: int | None = None) -> None:
        """Name the graph.

        Args:
            manifest: of the folder that holds it.
            facts: which one it is.
            threads: how many threads one inference uses; None for one per core.
        """
        self.path = manifest.folder / facts.file
        self._manifest, self._facts, self._threads = manifest, facts, threads

    @cached_property
    def _session(self) -> Any:
        kind = self._facts.kind
        options = ort.SessionOptions()
        options.log_severity_level = _QUIET
        options.intra_op_num_threads = self._threads or 0
        # Threads that wait for more of the same would take the cores from the graph that is run next.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        if not kind.startswith("attack"):
            # Memory held for the next run of a graph that runs a few times a photo is not worth it.
            options.enable_cpu_mem_arena = False
        self._manifest.verified(self._facts.file)
        if kind != "detector":
            self._manifest.verified(WEIGHTS)
        try:
            session = ort.InferenceSession(str(self.path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions share no base class
            if _is_no_memory(error):
                raise ArtifactsError(f"{self.path}: not enough memory to load it") from error
            raise ArtifactsError(f"{self.path}: cannot be loaded ({_one_line(error)}); export again") from error
        self._compare(session.get_modelmeta().custom_metadata_map)
        return session

    def _compare(self, metadata: dict[str, str]) -> None:
        """Compare what the graph says of itself with the manifest."""
        for key, value in (("kind", self._facts.kind), ("checkpoint_sha256", self._manifest.checkpoint_sha256)):
            if (said := metadata.get(_PREFIX + key, value)) != value:
                raise ArtifactsError(f"{self.path}: its {key} is {said}, not {value}; export again")

    @property
    def is_loaded(self) -> bool:
        """Whether it has been loaded."""
        return "_session" in vars(self)

    def load(self) -> None:
        """Load the graph now rather than when it is first run.

        Raises:
            ArtifactsError: it is missing, or not the file that the manifest describes, or cannot be loaded.
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


def default_folder() -> Path:
    """Return the folder of artifacts that is used where none is named: the package's own, else ./artifacts.

    A wheel of `make wheel` has its own; a clone has none until an export writes ./artifacts.
    """
    return PACKED if PACKED.is_dir() else Path("artifacts")


class Artifacts:
    """The graphs in one folder, and its manifest.

    Attributes:
        folder: where they are.
    """

    def __init__(self, folder: Path | str | None = None, threads: int | None = None) -> None:
        """Name the folder; nothing in it is read yet.

        Args:
            folder: what `face-encryption export` wrote; None for the one of `default_folder`.
            threads: how many threads one inference uses; None for one per core.

        Raises:
            ArtifactsError: there is no such folder.
        """
        self.folder = default_folder() if folder is None else Path(folder)
        self._threads = threads
        self._graphs: dict[str, Graph] = {}
        if not os.path.isdir(self.folder):
            raise ArtifactsError(
                f"{self.folder}: no such folder; run `face-encryption export`, or name it by --artifacts"
            )

    @cached_property
    def manifest(self) -> Manifest:
        """What the folder says of itself, read once. Raises `ArtifactsError` when it cannot be read."""
        return read_manifest(self.folder)

    @property
    def detector(self) -> Graph:
        """The face detector. Raises `ArtifactsError` when there is none."""
        return self._graph("detector")

    @property
    def recognizer(self) -> Graph:
        """Our recognizer. Raises `ArtifactsError` when there is none."""
        return self._graph("recognizer")

    @property
    def cloak_reference(self) -> Graph:
        """What all recognizers of the cloak see in a face. Raises `ArtifactsError` when there is none."""
        return self._graph("cloak-reference")

    @property
    def cloak_begin(self) -> Graph:
        """What comes before the steps of a cloak. Raises `ArtifactsError` when there is none."""
        return self._graph("attack-feature-begin")

    @property
    def cloak_steps(self) -> list[Graph]:
        """The steps of one round of a cloak, in their order. Raises `ArtifactsError` when one is missing."""
        kind = "attack-feature-step"
        return [self._graph(f"{kind}-{turn}", kind) for turn in self.manifest.cloak.turns]

    @property
    def cloak_end(self) -> Graph:
        """What comes after the steps of a cloak. Raises `ArtifactsError` when there is none."""
        return self._graph("attack-feature-end")

    @property
    def label_attack(self) -> Graph:
        """The attack on a label. Raises `ArtifactsError` when there is none."""
        return self._graph("attack-label")

    def _graph(self, name: str, kind: str | None = None) -> Graph:
        """Return the graph of a name, which is also its kind where none is named."""
        if name not in self._graphs:
            facts = self.manifest.graph(name, kind or name)
            self._graphs[name] = Graph(self.manifest, facts, self._threads)
        return self._graphs[name]


def load_graphs(graphs: Iterable[Graph]) -> None:
    """Load graphs now rather than when they are first run, the largest first: it leaves the others memory to take.

    Raises `ArtifactsError` as `Graph.load` does.
    """
    missing = [graph for graph in graphs if not graph.is_loaded]
    for graph in missing:
        graph.load()
    if missing:  # else each photo would take anew what was given back
        _return_free_memory()


def _return_free_memory() -> None:
    """Give the system back what loading an attack has freed, 80 to 150 MB that glibc keeps and pictures hardly use."""
    # Systems with another C library have no such function.
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _is_no_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "bad_alloc" in str(error) or "Failed to allocate" in str(error)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:200] + "..."

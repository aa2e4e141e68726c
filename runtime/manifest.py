"""What `manifest.json` says: what a folder of artifacts holds, and how to use it."""

import functools
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import ArtifactsError

MANIFEST = "manifest.json"
# What our own recognizer is called among the surrogates.
OWN = "recognizer"


@dataclass(frozen=True)
class FileFacts:
    """The hash and the size in bytes of a file."""

    sha256: str
    size: int


@dataclass(frozen=True)
class GraphFacts:
    """The file of a graph, and what it is for."""

    file: str
    kind: str


@dataclass(frozen=True)
class RecognizerFacts:
    """Our own recognizer.

    `embedding` is the length of what it sees in a face, `classes` are the identities it was trained on, in the order of
    its probabilities, `threshold` is the similarity from which two faces count as one person, and `crop_margin` the
    part of the longer box edge that a face's square adds on each side.
    """

    embedding: int
    classes: list[str]
    threshold: float
    crop_margin: float


@dataclass(frozen=True)
class SurrogateFacts:
    """A recognizer behind the cloak: name, length of its part of `reference`, and threshold as of our own."""

    name: str
    embedding: int
    threshold: float


@dataclass(frozen=True)
class DetectorFacts:
    """From `score` on something counts as a face, and from `unsure` on it may be one."""

    score: float
    unsure: float


@dataclass(frozen=True)
class Rung:
    """A budget, and a clamp in pixel levels, as in `Settings`."""

    budget: float
    clamp: float


@dataclass(frozen=True)
class CloakDefaults:
    """What a cloak runs with: a ladder of rungs by strength, and steps by effort.

    `turns` are the numbers of the surrogates that the steps of a round ask, in order.
    """

    turns: tuple[int, ...]
    strength: dict[str, tuple[Rung, ...]]
    effort: dict[str, int]


@dataclass(frozen=True)
class LabelEffort:
    """So many steps, each of this size in pixel levels where `LabelDefaults.epsilon` is the bound."""

    steps: int
    step_size: float


@dataclass(frozen=True)
class LabelDefaults:
    """What an attack on a label runs with: epsilon by strength in pixel levels, steps by effort, and the rest."""

    epsilon: float
    strength: dict[str, float]
    effort: dict[str, LabelEffort]
    momentum: float
    diversity: float


@dataclass(frozen=True)
class Manifest:
    """What the manifest of a folder says.

    Attributes:
        folder: where it lies.
        files: by name, all that belong to it.
        graphs: by name.
        recognizer: our own.
        surrogates: the recognizers behind the cloak, in their turn; our own is among them.
        far: the false accept rate of all thresholds here, as "0.01".
        margin: so far below each threshold an attempt has to bring a face.
        detector: what counts as a face.
        cloak: the defaults of a cloak.
        label: the defaults of an attack on a label.
        checkpoint_sha256: of the recognizer.
        content: all of it, as JSON types.
    """

    folder: Path
    files: dict[str, FileFacts]
    graphs: dict[str, GraphFacts]
    recognizer: RecognizerFacts
    surrogates: tuple[SurrogateFacts, ...]
    far: str
    margin: float
    detector: DetectorFacts
    cloak: CloakDefaults
    label: LabelDefaults
    checkpoint_sha256: str
    content: dict[str, Any] = field(repr=False)

    def graph(self, name: str, kind: str) -> GraphFacts:
        """Return the graph of a name.

        Raises:
            ArtifactsError: there is none, or it is of another kind.
        """
        facts = self.graphs.get(name)
        if facts is None:
            raise ArtifactsError(f"{self.folder / MANIFEST}: lacks graphs.{name}; export again")
        if facts.kind != kind:
            raise ArtifactsError(f"{self.folder / MANIFEST}: graphs.{name} is of the kind {facts.kind}; export again")
        return facts

    def verified(self, name: str) -> Path:
        """Return the path of a file, after a look whether it is the one that the export wrote.

        A file is read once in a process, and again when it has changed.

        Raises:
            ArtifactsError: it is missing, or differs from what the manifest says.
        """
        path = self.folder / name
        if name not in self.files:
            raise ArtifactsError(f"{self.folder / MANIFEST}: lacks files.{name}; export again")
        try:
            state = path.stat()
            same = state.st_size == self.files[name].size and (
                _sha256(os.path.realpath(path), state.st_size, state.st_mtime_ns) == self.files[name].sha256
            )
        except FileNotFoundError:
            raise ArtifactsError(f"{path}: no such file; export again") from None
        except OSError as error:
            raise ArtifactsError(f"{path}: cannot be read ({error.strerror}); export again") from error
        if not same:
            raise ArtifactsError(f"{path}: not the file that {MANIFEST} describes, changed or damaged; export again")
        return path


@functools.cache
def _sha256(path: str, size: int, changed: int) -> str:
    """Return the hash of a file; of this size, changed at this time, it is hashed once."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

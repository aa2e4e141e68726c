"""Reads `manifest.json` and checks it once: what is missing or amiss is named before a photo is read."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from .errors import ArtifactsError
from .manifest import (
    MANIFEST,
    CloakDefaults,
    DetectorFacts,
    FileFacts,
    GraphFacts,
    LabelDefaults,
    LabelEffort,
    Manifest,
    RecognizerFacts,
    Rung,
    SurrogateFacts,
)

FORMAT = 8

T = TypeVar("T")


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a folder.

    Raises:
        ArtifactsError: it is missing, damaged, of another format, or lacks a key, which is named.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactsError(
            f"{path}: no such file; run `face-encryption export`, or name its folder by --artifacts"
        ) from None
    except (OSError, ValueError) as error:
        raise ArtifactsError(f"{path}: cannot be read ({' '.join(str(error).split())}); export again") from error
    top = _Node(path, "", content)
    if (version := top["format"].of(int)) != FORMAT:
        raise ArtifactsError(f"{path}: format {version}, this program reads {FORMAT}; export again with this version")
    match = top["match"]
    far = match["far"].of(str)
    return Manifest(
        folder=folder,
        files={name: FileFacts(file["sha256"].of(str), file["bytes"].of(int)) for name, file in top["files"].named()},
        graphs={
            name: GraphFacts(graph["file"].of(str), graph["kind"].of(str)) for name, graph in top["graphs"].named()
        },
        recognizer=_recognizer(top["recognizer"], far),
        surrogates=tuple(
            SurrogateFacts(each["name"].of(str), each["embedding"].of(int), each["thresholds"][far].number())
            for each in top["surrogates"].listed()
        ),
        far=far,
        margin=match["margin"].number(),
        detector=DetectorFacts(top["detector"]["score"].number(), top["detector"]["unsure"].number()),
        cloak=_cloak(top["cloak"]),
        label=_label(top["label"]),
        checkpoint_sha256=top["checkpoint_sha256"].of(str),
        content=content,
    )


def _recognizer(node: "_Node", far: str) -> RecognizerFacts:
    return RecognizerFacts(
        node["embedding"].of(int),
        [name.of(str) for name in node["classes"].listed()],
        node["thresholds"][far].number(),
        node["crop_margin"].number(),
    )


def _cloak(node: "_Node") -> CloakDefaults:
    return CloakDefaults(
        tuple(turn.of(int) for turn in node["turns"].listed()),
        {
            name: tuple(Rung(rung["budget"].number(), rung["clamp"].number()) for rung in ladder.listed())
            for name, ladder in node["strength"].named()
        },
        {name: effort["steps"].of(int) for name, effort in node["effort"].named()},
    )


def _label(node: "_Node") -> LabelDefaults:
    return LabelDefaults(
        node["epsilon"].number(),
        {name: strength.number() for name, strength in node["strength"].named()},
        {
            name: LabelEffort(effort["steps"].of(int), effort["step_size"].number())
            for name, effort in node["effort"].named()
        },
        node["momentum"].number(),
        node["diversity"].number(),
    )


class _Node:
    """A value in the manifest, and where it lies there, so that whatever is wrong with it is named."""

    def __init__(self, path: Path, place: str, value: Any) -> None:
        self._path, self._place, self._value = path, place, value

    def __getitem__(self, key: str) -> "_Node":
        values = self.of(dict)
        if key not in values:
            raise ArtifactsError(f"{self._path}: lacks {self._below(key)}; export again")
        return _Node(self._path, self._below(key), values[key])

    def named(self) -> Iterator[tuple[str, "_Node"]]:
        return ((key, self[key]) for key in self.of(dict))

    def listed(self) -> Iterator["_Node"]:
        """Yield the values of a list, of which there is one at least."""
        values = self.of(list)
        if not values:
            raise ArtifactsError(f"{self._path}: {self._place} is empty; export again")
        return (_Node(self._path, self._below(str(number)), value) for number, value in enumerate(values))

    def of(self, kind: type[T]) -> T:
        if not isinstance(self._value, kind) or isinstance(self._value, bool):
            found, wanted = type(self._value).__name__, kind.__name__
            raise ArtifactsError(f"{self._path}: {self._place or 'all of it'} is {found}, not {wanted}; export again")
        return self._value

    def number(self) -> float:
        return float(self._value) if type(self._value) is int else self.of(float)

    def _below(self, key: str) -> str:
        return f"{self._place}.{key}" if self._place else key

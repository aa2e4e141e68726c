import ctypes
import hashlib
import json
import os
import platform
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from face_encryption.runtime.artifacts import Artifacts, Graph, load_graphs
from face_encryption.runtime.cli.inspect import inspect_folder, table
from face_encryption.runtime.errors import ArtifactsError
from face_encryption.runtime.manifest import CloakDefaults, LabelDefaults, LabelEffort, Rung, SurrogateFacts
from face_encryption.runtime.manifest_reader import read_manifest

from .graphs import MANIFEST, OTHER, OWN, artifacts_folder, describe, graph_file


def recognizer(folder: Path) -> Graph:
    return Artifacts(artifacts_folder(folder), threads=1).recognizer


def test_what_a_manifest_says(tmp_path: Path) -> None:
    found = Artifacts(artifacts_folder(tmp_path, surrogates=[OTHER, OWN])).manifest
    assert found.recognizer.classes == ["Ada", "Grace"]
    assert (found.recognizer.threshold, found.recognizer.crop_margin, found.recognizer.embedding) == (0.35, 0.25, 512)
    assert found.surrogates == (SurrogateFacts("other", 192, 0.4), SurrogateFacts("recognizer", 512, 0.35))
    assert (found.far, found.margin, found.detector.score, found.detector.unsure) == ("0.01", 0.05, 0.5, 0.4)
    ladder = (Rung(0.05, 20), Rung(0.07, 20), Rung(0.08, 30))
    strengths = {"low": (Rung(0.02, 10),), "medium": ladder, "high": (Rung(0.1, 40),)}
    assert found.cloak == CloakDefaults((0,), strengths, {"fast": 2, "normal": 4})
    efforts = {"fast": LabelEffort(2, 4), "normal": LabelEffort(4, 2)}
    assert found.label == LabelDefaults(8, {"low": 4, "medium": 8, "high": 12}, efforts, 1, 0.5)


def test_the_false_accept_rate_chooses_the_thresholds(tmp_path: Path) -> None:
    stricter = OWN | {"thresholds": {"0.001": 0.45}}
    match = {"far": "0.001", "margin": 0.1}
    found = read_manifest(artifacts_folder(tmp_path, match=match, surrogates=[stricter]))
    assert (found.recognizer.threshold, found.surrogates[0].threshold) == (0.45, 0.45)


def places(value: Any, place: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a manifest that has a name."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    below = [each for key, child in children for each in places(child, (*place, key))]
    return [*([place] if place and isinstance(place[-1], str) else []), *below]


# What says how many there are, and what is for information, or for other false accept rates or clients.
OPTIONAL = re.compile(r"version|licences|.*input_size|(.*strength|.*effort)\.\w+|.*\.0\.001")
NEEDED = [place for place in places(MANIFEST) if not OPTIONAL.fullmatch(".".join(map(str, place)))]


@pytest.mark.parametrize("place", NEEDED, ids=lambda place: ".".join(map(str, place)))
def test_what_is_missing_or_amiss_is_named(tmp_path: Path, place: tuple[str | int, ...]) -> None:
    name = re.escape(".".join(map(str, place)))
    missing = deepcopy(MANIFEST)
    *path, last = place
    parent: Any = missing
    for key in path:
        parent = parent[key]
    before = parent.pop(last)
    with pytest.raises(ArtifactsError, match=rf"manifest\.json: lacks {name}; export again"):
        read_manifest(describe(tmp_path, missing))
    wrong: Any
    for wrong in (None, True, [] if isinstance(before, dict) else {}):
        parent[last] = wrong
        with pytest.raises(ArtifactsError, match=rf"manifest\.json: {name} is \w+, not \w+; export again"):
            read_manifest(describe(tmp_path, missing))


@pytest.mark.parametrize("key", ["classes", "surrogates"])
def test_an_empty_list_is_named(tmp_path: Path, key: str) -> None:
    empty = deepcopy(MANIFEST)
    (empty if key in empty else empty["recognizer"])[key] = []
    with pytest.raises(ArtifactsError, match=rf"{key} is empty"):
        read_manifest(describe(tmp_path, empty))


def test_a_strength_without_rungs_is_named(tmp_path: Path) -> None:
    empty = deepcopy(MANIFEST)
    empty["cloak"]["strength"]["medium"] = []
    with pytest.raises(ArtifactsError, match=r"cloak\.strength\.medium is empty"):
        read_manifest(describe(tmp_path, empty))


def test_another_format(tmp_path: Path) -> None:
    with pytest.raises(ArtifactsError, match="format 6, this program reads 8; export again with this version"):
        read_manifest(artifacts_folder(tmp_path, format=6))


@pytest.mark.parametrize(
    ("content", "word"),
    [
        pytest.param(b"", "cannot be read", id="empty"),
        pytest.param(b"{", "cannot be read", id="cut off"),
        pytest.param(b"\xff\xfe", "cannot be read", id="bytes"),
        pytest.param(b"[]", "all of it is list, not dict", id="a list"),
        pytest.param(b"{}", "lacks format", id="nothing"),
    ],
)
def test_a_file_that_is_no_manifest(tmp_path: Path, content: bytes, word: str) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(ArtifactsError, match=word) as refusal:
        read_manifest(tmp_path)
    assert str(tmp_path / "manifest.json") in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(ArtifactsError, match=r"manifest\.json: no such file; run `face-encryption export`"):
        _ = Artifacts(tmp_path).detector


def test_a_graph_runs(tmp_path: Path) -> None:
    assert recognizer(tmp_path).run(["y"], {"x": np.array(7, np.float32)}) == [7]


@pytest.mark.parametrize("name", ["recognizer.onnx", "weights.bin"])
def test_a_file_that_was_changed_is_refused_by_name(tmp_path: Path, name: str) -> None:
    artifacts = Artifacts(artifacts_folder(tmp_path))
    path = tmp_path / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # of the same size
    path.write_bytes(content)
    with pytest.raises(ArtifactsError, match=rf"{name}: not the file that manifest\.json describes") as refusal:
        artifacts.recognizer.load()
    assert "\n" not in str(refusal.value)
    path.write_bytes(content[:-1])
    with pytest.raises(ArtifactsError, match=rf"{name}: not the file"):
        artifacts.recognizer.load()
    path.unlink()
    with pytest.raises(ArtifactsError, match=rf"{name}: no such file; export again"):
        artifacts.recognizer.load()


def test_a_file_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    real = hashlib.file_digest

    def digest(file: Any, name: str) -> Any:
        hashed.append(os.path.basename(file.name))
        return real(file, name)

    monkeypatch.setattr(hashlib, "file_digest", digest)
    artifacts_folder(tmp_path)
    for _ in range(2):
        artifacts = Artifacts(tmp_path)
        artifacts.recognizer.load()
        artifacts.label_attack.load()
    assert hashed == ["recognizer.onnx", "weights.bin", "attack-label.onnx"]


def test_graph_that_does_not_load(tmp_path: Path) -> None:
    path = artifacts_folder(tmp_path) / "recognizer.onnx"
    path.write_bytes(path.read_bytes().replace(b"Identity", b"Identify"))
    with pytest.raises(ArtifactsError, match="cannot be loaded") as refusal:
        Artifacts(describe(tmp_path, MANIFEST)).recognizer.load()
    assert "\n" not in str(refusal.value)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps so much")
def test_loading_returns_freed_memory(tmp_path: Path) -> None:
    def resident() -> int:
        match = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
        assert match
        return int(match[1]) // 1024

    graph = recognizer(tmp_path)
    blocks = [bytearray(2**16) for _ in range(1600)]
    del blocks[::2]  # 50 MB between what is still held
    before = resident()
    load_graphs([graph])
    assert resident() < before - 25


def test_memory_is_given_back_only_after_loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given_back: list[int] = []
    monkeypatch.setattr("face_encryption.runtime.artifacts._return_free_memory", lambda: given_back.append(1))
    graph = recognizer(tmp_path)
    for _ in range(2):
        load_graphs([graph])
    assert given_back == [1]


@pytest.mark.parametrize("error", [None, TypeError, OSError])
def test_loading_needs_no_glibc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception] | None) -> None:
    def library(name: str | None) -> object:
        if error:
            raise error
        return object()

    monkeypatch.setattr(ctypes, "CDLL", library)
    graph = recognizer(tmp_path)
    assert graph.run(["y"], {"x": np.array(7, np.float32)}) == [7]


def test_graph_that_takes_other_inputs(tmp_path: Path) -> None:
    graph = recognizer(tmp_path)
    with pytest.raises(ArtifactsError, match="cannot be run") as refusal:
        graph.run(["embedding"], {"face": np.array(7, np.float32)})
    assert "\n" not in str(refusal.value)


def test_too_little_memory_is_not_the_artifacts_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def run(self, *_: object) -> None:
            raise RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : std::bad_alloc")

    monkeypatch.setattr(Graph, "_session", Full())
    with pytest.raises(MemoryError):
        recognizer(tmp_path).run(["y"], {})


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ArtifactsError, match="no such folder; run `face-encryption export`"):
        Artifacts(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["detector", "recognizer", "cloak_reference"])
def test_missing_graph(tmp_path: Path, name: str) -> None:
    artifacts = Artifacts(artifacts_folder(tmp_path, graphs={}))
    with pytest.raises(ArtifactsError, match=rf"lacks graphs\.{name.replace('_', '-')}; export again"):
        getattr(artifacts, name)


def test_other_kind(tmp_path: Path) -> None:
    facts = {"recognizer": {"file": "recognizer.onnx", "kind": "detector"}}
    with pytest.raises(ArtifactsError, match=r"graphs\.recognizer is of the kind detector"):
        _ = Artifacts(artifacts_folder(tmp_path, graphs=facts)).recognizer


@pytest.mark.parametrize("facts", [{"kind": "detector"}, {"kind": "recognizer", "checkpoint": "def"}])
def test_a_graph_that_says_it_is_another(tmp_path: Path, facts: dict[str, str]) -> None:
    graph_file(artifacts_folder(tmp_path) / "recognizer.onnx", **facts)
    with pytest.raises(ArtifactsError, match=r"recognizer\.onnx: its \w+ is (detector|def), not (recognizer|abc)"):
        Artifacts(describe(tmp_path, MANIFEST)).recognizer.load()


def test_attacks(tmp_path: Path) -> None:
    artifacts = Artifacts(artifacts_folder(tmp_path))
    assert artifacts.label_attack.path == tmp_path / "attack-label.onnx"
    begin, (step,), end = artifacts.cloak_begin, artifacts.cloak_steps, artifacts.cloak_end
    assert [each.path.stem.removeprefix("attack-feature-") for each in (begin, step, end)] == ["begin", "step-0", "end"]


def test_a_round_asks_in_turn_and_loads_each_step_once(tmp_path: Path) -> None:
    graph_file(artifacts_folder(tmp_path) / "attack-feature-step-1.onnx", "attack-feature-step")
    graphs = {f"attack-feature-step-{turn}": "attack-feature-step" for turn in (0, 1)}
    facts = {name: {"file": f"{name}.onnx", "kind": kind} for name, kind in graphs.items()}
    cloak = MANIFEST["cloak"] | {"turns": [1, 0, 1]}
    first, second, third = Artifacts(describe(tmp_path, MANIFEST | {"cloak": cloak, "graphs": facts})).cloak_steps
    assert first is third
    assert [first.path.stem, second.path.stem] == ["attack-feature-step-1", "attack-feature-step-0"]


def test_inspection(tmp_path: Path) -> None:
    found = inspect_folder(artifacts_folder(tmp_path, surrogates=[OTHER, OWN]))
    assert found.content == json.loads((tmp_path / "manifest.json").read_text())
    lines = table(found).splitlines()
    assert lines[7].split() == ["recognizer.onnx", "0.0", "recognizer", found.files["recognizer.onnx"].sha256[:12]]
    assert lines[8].split()[:2] == ["weights.bin", "2.0"]
    assert lines[-3:] == [
        "checkpoint abc, 2 classes",
        "threshold at FAR 1.0%, recognizer: similarity 0.350",
        "threshold at FAR 1.0%, other: similarity 0.400",
    ]
    (tmp_path / "attack-label.onnx").write_text("mine")
    with pytest.raises(ArtifactsError, match=r"attack-label\.onnx: not the file"):
        inspect_folder(tmp_path)

import ctypes
import json
import platform
import re
from pathlib import Path

import numpy as np
import pytest

from face_encryption.runtime.artifacts import FORMAT_VERSION, Artifacts, Graph, names, threshold_at
from face_encryption.runtime.errors import ArtifactsError
from face_encryption.runtime.inspection import inspect_folder, table

from .graphs import CLOAK, LABEL, RECOGNIZER, artifacts_folder, graph_file


def without(metadata: dict[str, str], key: str) -> dict[str, str]:
    return {name: value for name, value in metadata.items() if name != key}


def test_graph_reads_metadata_and_runs(tmp_path: Path) -> None:
    graph = Graph(graph_file(tmp_path / "a.onnx", RECOGNIZER), threads=1)
    assert graph.keys == sorted(RECOGNIZER)
    assert graph.value("classes", names) == ["Ada", "Grace"]
    assert graph.value("thresholds", threshold_at("0.01")) == 0.35
    assert graph.run(["y"], {"x": np.array(7, np.float32)}) == [7]


def test_long_metadata_survives(tmp_path: Path) -> None:
    classes = [f"Person {number} \N{LATIN SMALL LETTER E WITH ACUTE}" for number in range(10_000)]
    path = graph_file(tmp_path / "a.onnx", RECOGNIZER | {"classes": json.dumps(classes, ensure_ascii=False)})
    assert Graph(path).value("classes", names) == classes


@pytest.mark.parametrize(
    ("content", "word"),
    [
        pytest.param(b"", "lacks face_encryption.format_version", id="empty"),
        pytest.param(b"no graph at all", "export again", id="text"),
        pytest.param(b"\xff" * 100, "not an ONNX file", id="bytes"),
        pytest.param(b"\x3a\xff\xff\xff\x01", "cut off", id="cut off"),
    ],
)
def test_file_that_is_no_graph(tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "recognizer.onnx"
    path.write_bytes(content)
    with pytest.raises(ArtifactsError, match=word) as refusal:
        Graph(path)
    assert str(path) in str(refusal.value)


def test_graph_that_does_not_load(tmp_path: Path) -> None:
    path = graph_file(tmp_path / "a.onnx", RECOGNIZER)
    path.write_bytes(path.read_bytes().replace(b"Identity", b"Identify"))
    with pytest.raises(ArtifactsError, match="cannot be loaded") as refusal:
        Graph(path).load()
    assert "\n" not in str(refusal.value)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps so much")
def test_loading_returns_freed_memory(tmp_path: Path) -> None:
    def resident() -> int:
        match = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
        assert match
        return int(match[1]) // 1024

    graph = Graph(graph_file(tmp_path / "a.onnx", RECOGNIZER))
    blocks = [bytearray(2**16) for _ in range(1600)]
    del blocks[::2]  # 50 MB between what is still held
    before = resident()
    graph.load()
    assert resident() < before - 25


@pytest.mark.parametrize("error", [None, TypeError, OSError])
def test_loading_needs_no_glibc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception] | None) -> None:
    def library(name: str | None) -> object:
        if error:
            raise error
        return object()

    monkeypatch.setattr(ctypes, "CDLL", library)
    graph = Graph(graph_file(tmp_path / "a.onnx", RECOGNIZER))
    assert graph.run(["y"], {"x": np.array(7, np.float32)}) == [7]


def test_graph_that_takes_other_inputs(tmp_path: Path) -> None:
    graph = Graph(graph_file(tmp_path / "a.onnx", RECOGNIZER))
    with pytest.raises(ArtifactsError, match="cannot be run") as refusal:
        graph.run(["embedding"], {"face": np.array(7, np.float32)})
    assert "\n" not in str(refusal.value)


def test_too_little_memory_is_not_the_artifacts_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def run(self, *_: object) -> None:
            raise RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : std::bad_alloc")

    monkeypatch.setattr(Graph, "_session", Full())
    with pytest.raises(MemoryError):
        Graph(graph_file(tmp_path / "a.onnx", RECOGNIZER)).run(["y"], {})


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ArtifactsError, match="no such folder; run `face-encryption export`"):
        Artifacts(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["detector", "recognizer"])
def test_missing_graph(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArtifactsError, match=f"{name}.onnx: no such file; run `face-encryption export`"):
        getattr(Artifacts(tmp_path), name)


def test_other_format_version(tmp_path: Path) -> None:
    artifacts_folder(tmp_path, recognizer=RECOGNIZER | {"format_version": "9"})
    with pytest.raises(ArtifactsError, match=f"format version 9, this program reads {FORMAT_VERSION}"):
        _ = Artifacts(tmp_path).recognizer


def test_other_kind(tmp_path: Path) -> None:
    artifacts_folder(tmp_path, recognizer=RECOGNIZER | {"kind": "detector"})
    with pytest.raises(ArtifactsError, match="of the kind detector, not recognizer"):
        _ = Artifacts(tmp_path).recognizer


@pytest.mark.parametrize("key", ["kind", "format_version"])
def test_missing_key_is_named_with_its_file(tmp_path: Path, key: str) -> None:
    artifacts_folder(tmp_path, recognizer=without(RECOGNIZER, key))
    with pytest.raises(ArtifactsError, match=rf"recognizer.onnx: the metadata lacks face_encryption\.{key}"):
        _ = Artifacts(tmp_path).recognizer


@pytest.mark.parametrize("text", ["", "{", "[]", '{"0.001": 1}', '{"0.01": null}'])
def test_unreadable_value_is_named_with_its_file(tmp_path: Path, text: str) -> None:
    graph = Graph(graph_file(tmp_path / "a.onnx", RECOGNIZER | {"thresholds": text}))
    with pytest.raises(ArtifactsError, match=r"a.onnx: the metadata face_encryption\.thresholds cannot be read"):
        graph.value("thresholds", threshold_at("0.01"))


@pytest.mark.parametrize("text", ["[]", "{}", "[1]", '"Ada"'])
def test_classes_that_are_no_list_of_names(text: str) -> None:
    with pytest.raises(ValueError, match="not a list of names"):
        names(text)


def test_attacks(tmp_path: Path) -> None:
    artifacts = Artifacts(artifacts_folder(tmp_path))
    assert artifacts.attack("feature").text("kind") == "attack-feature"
    assert artifacts.attack("label").text("kind") == "attack-label"
    assert not artifacts.several


def test_cloak_of_several_recognizers(tmp_path: Path) -> None:
    artifacts = Artifacts(artifacts_folder(tmp_path, cloak=CLOAK | {"surrogates": '["ours", "theirs"]'}))
    assert artifacts.several
    with pytest.raises(ArtifactsError, match=r"cloak-reference\.onnx: no such file; run `face-encryption export`"):
        _ = artifacts.cloak_reference
    path = graph_file(tmp_path / "cloak-reference.onnx", CLOAK | {"kind": "cloak-reference"})
    assert artifacts.cloak_reference.path == path


@pytest.mark.parametrize("text", ["", "2", "null"])
def test_unreadable_surrogates(tmp_path: Path, text: str) -> None:
    artifacts = Artifacts(artifacts_folder(tmp_path, cloak=CLOAK | {"surrogates": text}))
    with pytest.raises(ArtifactsError, match=r"the metadata face_encryption\.surrogates cannot be read"):
        _ = artifacts.several


def test_no_attack_at_all(tmp_path: Path) -> None:
    with pytest.raises(ArtifactsError, match=r"attack-feature\.onnx: no such file; run `face-encryption export`"):
        Artifacts(tmp_path).attack("feature")


def test_attack_of_another_checkpoint(tmp_path: Path) -> None:
    other = {"checkpoint_sha256": "def"}
    artifacts = Artifacts(artifacts_folder(tmp_path, label=LABEL | other))
    graph_file(tmp_path / "cloak-reference.onnx", CLOAK | other | {"kind": "cloak-reference"})
    with pytest.raises(ArtifactsError, match=r"attack-label\.onnx: .* checkpoint than recognizer\.onnx; export again"):
        artifacts.attack("label")
    with pytest.raises(ArtifactsError, match=r"cloak-reference\.onnx: .* checkpoint than recognizer\.onnx"):
        _ = artifacts.cloak_reference


def test_inspection(tmp_path: Path) -> None:
    (artifacts_folder(tmp_path) / "weights.bin").write_bytes(bytes(2_000_000))
    found = inspect_folder(tmp_path)
    assert [graph["file"] for graph in found["graphs"]] == [
        "attack-feature.onnx",
        "attack-label.onnx",
        "recognizer.onnx",
    ]
    assert found["graphs"][0]["metadata"]["surrogates"] == ["ours"]
    assert found["graphs"][2]["metadata"]["classes"] == ["Ada", "Grace"]
    assert found["weights"] == [{"file": "weights.bin", "bytes": 2_000_000}]
    lines = table(found).splitlines()
    assert lines[3].split() == ["recognizer.onnx", "0.0", "recognizer", FORMAT_VERSION, "2", "abc"]
    assert lines[-1] == "threshold at FAR 1.0%: similarity 0.350"


def test_inspection_of_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ArtifactsError, match=r"no \.onnx file"):
        inspect_folder(tmp_path)

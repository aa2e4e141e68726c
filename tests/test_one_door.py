"""Packages that report to their makers have one door each; who imports them past it may report what it does."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOORS = {"onnxruntime": "runtime/onnx_runtime.py", "mediapipe": "tests/export/mediapipe_faces.py"}
BY_NAME = {"import_module", "__import__", "importorskip"}


def statement(package: str) -> re.Pattern[str]:
    """An import of the package within other text, such as a string for `python -c` or a line of a shell script."""
    return re.compile(rf"\bimport\b[^\n;#]*\b{package}\b|\bfrom\s+{package}\b[.\w]*\s+import\b")


def imports(package: str, source: str) -> Iterator[int]:
    """Yield the lines of Python source that import a package: plainly, by its name, or in a string."""

    def inside(name: str | None) -> bool:
        return name is not None and name.split(".")[0] == package

    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found = any(inside(alias.name) for alias in names)
            case ast.ImportFrom(module=module, level=0):
                found = inside(module)
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[ast.Constant(value=str(text)), *_]):
                found = name in BY_NAME and inside(text)
            case ast.Constant(value=str(text)):
                found = bool(statement(package).search(text))
            case _:
                continue
        if found:
            yield node.lineno


def sources(*patterns: str) -> list[Path]:
    folders = [folder for folder in ROOT.iterdir() if folder.is_dir() and not folder.name.startswith(".")]
    made = {"build", "artifacts", "demo", "runs", "cache"}
    deep = [path for folder in folders if folder.name not in made for each in patterns for path in folder.rglob(each)]
    return deep + [path for each in patterns for path in ROOT.glob(each)]


@pytest.mark.parametrize("package", DOORS)
def test_python_goes_through_the_door(package: str) -> None:
    files = sources("*.py")
    assert ROOT / DOORS[package] in files
    assert ROOT / "benchmarks" / "protect.py" in files
    users = {path.relative_to(ROOT).as_posix(): list(imports(package, path.read_text())) for path in files}
    assert list(filter(users.get, users)) == [DOORS[package]]


@pytest.mark.parametrize("package", DOORS)
def test_scripts_go_through_the_door(package: str) -> None:
    files = [*sources("*.sh", "Makefile"), ROOT / ".ci" / "run"]
    assert len(files) > 2
    assert [str(path) for path in files if statement(package).search(path.read_text())] == []


@pytest.mark.parametrize(
    "source",
    [
        "import {}",
        "import os, {}.capi as state",
        "from {} import InferenceSession",
        "def late():\n    from {}.capi import x",
        "ort = importlib.import_module('{}')",
        "ort = pytest.importorskip('{}.tools')",
        "CHILD = '''import sys\nimport numpy, {}, sys\n'''",
        "run(['python', '-c', f'from {}.capi import x; print({{1}})'])",
    ],
)
def test_every_way_to_import_is_seen(source: str) -> None:
    assert list(imports("other", source.format("other")))
    assert not list(imports("other", source.format("another")))


CHILD = """
import os, sys, warnings
{before}
warnings.simplefilter("always")
with warnings.catch_warnings(record=True) as caught:
    from face_encryption.runtime import Protector
    for _ in range(2):
        Protector(sys.argv[1])
print(os.environ["ORT_DISABLE_TELEMETRY"], os.environ["ORT_TELEMETRY_DISABLED"])
print(*(warning.message for warning in caught), sep="\\n")
"""


@pytest.mark.parametrize(
    ("opt_out", "early", "warned"),
    [(None, True, True), ("0", True, True), ("1", True, False), ("true", True, False), (None, False, False)],
)
def test_protector_warns_of_a_host_that_reports(opt_out: str | None, early: bool, warned: bool, tmp_path: Path) -> None:
    """A module of the same name stands in for onnxruntime, so that the test itself reports nothing."""
    before = "import types; sys.modules['onnxruntime'] = types.ModuleType('onnxruntime')" if early else ""
    variable = "os.environ['ORT_DISABLE_TELEMETRY']"
    opt = f"{variable} = {opt_out!r}" if opt_out else f"{variable} = ''; del {variable}"
    code = CHILD.format(before=f"{opt}\n{before}")
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    environment, *warnings = done.stdout.split("\n", 1)
    assert environment == "1 1"
    assert ("ORT_DISABLE_TELEMETRY=1" in warnings[0]) == warned
    assert len(warnings[0].split()) > 10 if warned else not warnings[0].strip()
    assert warnings[0].count("ORT_DISABLE_TELEMETRY") == warned

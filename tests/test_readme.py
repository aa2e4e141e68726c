"""Every command of the README, and of the figures, runs as it stands."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
RESULTS = (ROOT / "docs" / "results.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", README + RESULTS, re.DOTALL)
COMMANDS = [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def folder(artifacts: Path, astronaut: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the README speaks of."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "photos").mkdir()
    Image.fromarray(astronaut).save(folder / "photo.jpg", quality=95)  # type: ignore[arg-type]
    Image.fromarray(astronaut).save(folder / "photos" / "portrait.png")  # type: ignore[arg-type]
    (folder / "artifacts").symlink_to(artifacts)
    return folder


def run(command: list[str], folder: Path) -> None:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_the_map_names_files_that_exist() -> None:
    text = (ROOT / "docs" / "development.md").read_text()
    paths = set(re.findall(r"`((?:[a-z]+/)+[a-z_.]*)`", text))
    assert len(paths) > 40
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_make_targets_exist() -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {command.split()[1] for command in COMMANDS if command.startswith("make")} <= set(targets)


@pytest.mark.parametrize(
    "command", [c for c in COMMANDS if c.startswith("face-encryption") and "export" not in c and "LFW" not in c]
)
def test_command(command: str, folder: Path) -> None:
    run([str(Path(sys.executable).with_name("face-encryption")), *shlex.split(command)[1:]], folder)


def test_python_example(folder: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    run([sys.executable, "-c", example], folder)
    assert (folder / "protected.jpg").stat().st_size > 10_000


@pytest.mark.parametrize("command", [c for c in COMMANDS if "LFW" in c])
def test_measurement(command: str, folder: Path, shared: Path) -> None:
    """The commands of the figures, on two lines of the lists instead of all."""
    lfw = shared / "data" / "lfw"
    for short, full in (("short.txt", "lfw307-test.txt"), ("pairs.txt", "protection-dev.txt")):
        (folder / short).write_text("\n".join((lfw / full).read_text().splitlines()[:2]))
    model = shared / "models" / "faceplugin.onnx"
    (folder / "judges.toml").write_text(f'[other]\nmodel = "{model}"\nchannels = "BGR"\nmean = 127.5\nstd = 128.0\n')
    program, first, *words = shlex.split(command)
    places = {"LFW": str(lfw / "images"), "lfw307-test.txt": "short.txt"}
    if program == "python":
        start = [sys.executable, str(ROOT / first)]
    else:
        start = [str(Path(sys.executable).with_name(program)), first]
    run([*start, *(places.get(word, word) for word in words)], folder)

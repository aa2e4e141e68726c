import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from face_encryption.runtime import PhotoError, Settings
from face_encryption.runtime.cli import group, main
from face_encryption.runtime.errors import STILL_A_MATCH
from face_encryption.runtime.photo import read_photo
from face_encryption.runtime.report import suggest_stronger

from .graphs import MANIFEST, artifacts_folder, describe, graph_file
from .photos import BAD_PHOTOS

Run = Callable[..., Result]
COMMAND = [sys.executable, "-m", "face_encryption.runtime"]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command in `tmp_path`, and see to it that it ends without a traceback."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: object) -> Result:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result

    return invoke


@pytest.fixture
def use_artifacts(monkeypatch: pytest.MonkeyPatch, artifacts: Path) -> None:
    monkeypatch.setenv("FACE_ENCRYPTION_ARTIFACTS", str(artifacts.absolute()))


@pytest.fixture
def fake_artifacts(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Artifacts whose manifest is right, for what fails before a graph is run."""
    monkeypatch.setenv("FACE_ENCRYPTION_ARTIFACTS", str(artifacts_folder(tmp_path_factory.mktemp("artifacts"))))


def assert_one_line_error(result: Result, exit_code: int, word: str = "") -> None:
    assert result.exit_code == exit_code
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert word in line


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.usefixtures("use_artifacts")
def test_protect(run: Run, photo_file: Path) -> None:
    before = photo_file.read_bytes()
    result = run("protect", "photo.png", "--strength", "high")
    assert result.exit_code == 0
    assert re.fullmatch(
        r"photo\.png face 1: no longer matches \(similarity -?\d\.\d\d, threshold \d\.\d\d[^)]*\), "
        r"change <= \d+ levels, \d\d\.\d dB, \d+\.\d s\n",
        result.stdout,
    )
    assert "photo.png: written to photo_protected.png" in result.stderr.splitlines()
    assert names(photo_file.parent) == ["photo.png", "photo_protected.png"]
    assert photo_file.read_bytes() == before


@pytest.mark.usefixtures("use_artifacts")
def test_protect_as_json(run: Run, photo_file: Path) -> None:
    numbers = ["--budget", 0.02, "--clamp", 6, "--steps", 1]
    result = run("protect", "photo.png", "--json", *numbers, "--seed", 3, "-o", "out")
    (line,) = result.stdout.splitlines()
    facts = json.loads(line)
    assert facts["input"] == "photo.png"
    assert facts["output"] == str(Path("out/photo_protected.png"))
    assert facts["seed"] == 3
    assert (facts["attack"], facts["label"], facts["consent"]) == ("cloak", None, None)
    (face,) = facts["faces"]
    assert (face["budget"], face["clamp"], face["steps"]) == (0.02, 6, 1)
    assert not {"epsilon", "step_size"} & set(face)
    assert face["number"] == 1
    results = [face, *face["surrogates"]]
    assert face["matched"] == any(each["similarity"] >= each["threshold"] for each in results)
    assert 0 < face["change"] <= 6
    assert set(face) >= {"box", "score", "keypoints", "psnr", "seconds"}


@pytest.mark.usefixtures("use_artifacts", "photo_file")
def test_label_and_consent(run: Run, artifacts: Path) -> None:
    classes = json.loads(run("inspect", "--json").stdout)["recognizer"]["classes"]
    refused = run("protect", "photo.png", "--steps", 1, "--label", classes[0], "-o", "a.png")
    assert refused.exit_code == 2
    assert f'makes "{classes[0]}" the match' in refused.stderr.splitlines()[-1]
    agreed = run("protect", "photo.png", "--steps", 1, "--label", classes[0], "--json", "-o", "b.png", "--consent")
    facts = json.loads(agreed.stdout)
    assert agreed.exit_code == (STILL_A_MATCH if facts["faces"][0]["matched"] else 0)
    assert (facts["attack"], facts["label"], facts["consent"]) == ("label", classes[0], True)


@pytest.mark.usefixtures("use_artifacts", "photo_file")
def test_away(run: Run) -> None:
    result = run("protect", "photo.png", "--steps", 1, "--away", "--epsilon", 5, "--step-size", 3, "--json")
    facts = json.loads(result.stdout)
    assert (facts["attack"], facts["label"], facts["consent"]) == ("away", None, None)
    (face,) = facts["faces"]
    assert result.exit_code == (STILL_A_MATCH if face["matched"] else 0)
    assert (face["epsilon"], face["step_size"], face["steps"]) == (5, 3, 1)
    assert not {"budget", "clamp"} & set(face)
    assert 0 < face["change"] <= 5


@pytest.mark.usefixtures("use_artifacts", "photo_file")
def test_strengths_and_efforts_are_in_order(run: Run) -> None:
    def plan(*options: str) -> dict[str, float]:
        result = run("protect", "photo.png", "--json", "-o", f"out{len(names(Path()))}", *options)
        (face,) = json.loads(result.stdout)["faces"]
        return dict(face)

    low, medium, high = (plan("--steps", "1", "--strength", name) for name in ("low", "medium", "high"))
    assert low["budget"] < medium["budget"] < high["budget"]
    assert low["clamp"] <= medium["clamp"] <= high["clamp"]
    fast, normal, thorough = (plan("--effort", name, "--strength", "high") for name in ("fast", "normal", "thorough"))
    assert fast["steps"] < normal["steps"] < thorough["steps"]
    assert fast["budget"] == normal["budget"] == thorough["budget"]


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        (["--strength", "low", "--steps", 1], "--strength medium"),
        (["--steps", 1], "--strength high"),
        (["--budget", 1e-4, "--effort", "fast"], "a larger --budget"),
        (["--clamp", 1, "--steps", 1], "a larger --clamp"),
        (["--clamp", 2, "--budget", 1e-4, "--strength", "low"], "a larger --budget or --clamp"),
        (["--away", "--epsilon", 1, "--steps", 1], "a larger --epsilon"),
    ],
)
@pytest.mark.usefixtures("use_artifacts")
def test_a_face_that_is_still_a_match(run: Run, photo_file: Path, options: list[object], advice: str) -> None:
    first = run("protect", "photo.png", *options)
    assert first.exit_code == STILL_A_MATCH
    assert first.stdout.startswith(f"photo.png face 1: STILL A MATCH, try {advice} (similarity ")
    assert first.stderr.splitlines() == [
        "photo.png: faces found: 1",
        "photo.png: written to photo_protected.png",
        f"photo.png: remove photo_protected.png before you try {advice}",
    ]
    copy = photo_file.with_name("photo_protected.png").read_bytes()
    again = run("protect", "photo.png", *options)
    assert again.exit_code == STILL_A_MATCH
    assert without_seconds(again.stdout) == without_seconds(first.stdout)
    assert again.stderr.splitlines() == [
        "photo.png: photo_protected.png exists already",
        f"photo.png: remove photo_protected.png before you try {advice}",
    ]
    assert photo_file.with_name("photo_protected.png").read_bytes() == copy
    assert names(photo_file.parent) == ["photo.png", "photo_protected.png"]


def without_seconds(line: str) -> str:
    return line.rpartition(", ")[0]


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        (Settings(strength="high"), ""),
        (Settings(strength="high", effort="fast"), ""),  # which took the steps of all efforts
        (Settings(strength="high", steps=3), "more --steps"),
        (Settings(strength="high", away=True), "--effort thorough"),
        (Settings(strength="high", away=True, effort="thorough"), ""),
    ],
)
def test_what_is_stronger_than_high(settings: Settings, advice: str) -> None:
    assert suggest_stronger(settings) == advice


@pytest.mark.usefixtures("use_artifacts")
def test_a_folder_with_faces_that_are_still_a_match(run: Run, photo_file: Path) -> None:
    weak = ["protect", ".", "--budget", 1e-4, "--clamp", 1, "--steps", 1, "-o", "out"]
    shutil.copy("photo.png", "a.png")
    Image.new("RGB", (64, 64), "green").save("tree.png")
    first = run(*weak)
    assert first.exit_code == STILL_A_MATCH  # a photo without a face is in nearly every folder
    assert first.stderr.splitlines()[-1] == "2 done, 0 skipped, 1 failed, 2 faces STILL A MATCH"
    # One of the two is made anew, well enough.
    Path("out/a_protected.png").unlink()
    assert run("protect", "a.png", "--strength", "high", "-o", "out/").exit_code == 0
    again = run(*weak, "--json")
    assert again.exit_code == STILL_A_MATCH
    assert again.stderr.splitlines()[-1] == "0 done, 2 skipped, 1 failed, 1 face STILL A MATCH"
    made, still, tree = (json.loads(line) for line in again.stdout.splitlines())
    assert (made["input"], made["skipped"], made["faces"][0]["matched"]) == ("a.png", "exists already", False)
    assert (still["input"], still["skipped"], still["faces"][0]["matched"]) == ("photo.png", "exists already", True)
    assert not {"budget", "clamp", "steps"} & set(still["faces"][0])  # which nobody knows any more
    assert tree["error"] == "NoFaceError"
    Path("torn.png").write_bytes(photo_file.read_bytes()[:2000])
    assert run(*weak).exit_code == PhotoError.exit_code
    Path("out/photo_protected.png").unlink()
    Path("torn.png").unlink()
    Path("tree.png").unlink()
    assert run("protect", ".", "--strength", "high", "-o", "out").exit_code == 0


@pytest.mark.usefixtures("use_artifacts", "photo_file")
def test_a_copy_that_cannot_be_measured_again(run: Run) -> None:
    taken = "photo.png: skipped, photo_protected.png exists already, perhaps of another photo or with other settings"
    Image.new("RGB", (64, 64), "green").save("photo_protected.png")
    result = run("protect", "photo.png")
    assert (result.exit_code, result.stdout) == (0, "")
    reason = "it cannot be measured again (the copy is not of the photo's size)"
    assert result.stderr.splitlines() == [f"{taken}; {reason}"]
    Image.new("RGB", (64, 64), "green").save("photo.png")
    result = run("protect", "photo.png")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.splitlines() == [f"{taken}; it cannot be measured again (no face found)"]


@pytest.mark.usefixtures("use_artifacts")
def test_gallery(run: Run, photo_file: Path) -> None:
    known = photo_file.parent / "known"
    known.mkdir()
    shutil.copy(photo_file, known / "me.png")
    Image.new("RGB", (64, 64), "green").save(known / "tree.png")
    (known / "torn.png").write_bytes(photo_file.read_bytes()[:2000])
    (known / "list.txt").write_text("me.png")
    result = run("protect", "photo.png", "--gallery", "known", "--strength", "high", "--json", "-o", "out")
    assert result.exit_code == 0
    assert "known: left out: 1 .txt" in result.stderr.splitlines()
    assert "known/tree.png: no face found; left out of the gallery" in result.stderr.splitlines()
    assert "known/torn.png: the PNG data is damaged" in result.stderr
    facts = json.loads(result.stdout)
    assert (facts["attack"], facts["faces"][0]["gallery"]) == ("cloak", 1)
    assert "photo.png: of the gallery's faces face 1 matches 1" in result.stderr.splitlines()
    faceless = run("protect", "photo.png", "--gallery", "known/tree.png", "-o", "x.png")
    assert (faceless.exit_code, faceless.stderr.splitlines()[-1][:32]) == (4, "Error: no face in the gallery; n")
    assert_one_line_error(run("protect", "photo.png", "--gallery", "nowhere.png", "-o", "x.png"), 3, "nowhere.png")
    assert_one_line_error(
        run("protect", "photo.png", "--gallery", "known/torn.png", "-o", "x.png"), 3, "known/torn.png"
    )
    assert run("protect", "photo.png", "--gallery", "known", "--away").exit_code == 2
    assert names(photo_file.parent) == ["known", "out", "photo.png"]


@pytest.mark.usefixtures("use_artifacts", "photo_file")
def test_names_that_a_shell_wrote_out_hold_no_results(run: Run) -> None:
    assert run("protect", "photo.png", "--strength", "high").exit_code == 0
    again = run("protect", "photo.png", "photo_protected.png")
    assert again.exit_code == 0
    assert "photo_protected.png: left out, made of photo.png" in again.stderr.splitlines()
    assert names(Path()) == ["photo.png", "photo_protected.png"]


@pytest.mark.parametrize("name", BAD_PHOTOS)
@pytest.mark.usefixtures("use_artifacts")
def test_bad_photo(run: Run, tmp_path: Path, name: str) -> None:
    make, word = BAD_PHOTOS[name]
    (tmp_path / name).write_bytes(make())
    result = run("detect", name, "--draw", "out")
    assert_one_line_error(result, 3, word)
    assert name in result.stderr
    assert names(tmp_path) == [name]


@pytest.mark.usefixtures("use_artifacts")
def test_folder_of_bad_photos_and_a_good_one(run: Run, photo_file: Path) -> None:
    for name, (make, _) in BAD_PHOTOS.items():
        (photo_file.parent / name).write_bytes(make())
    Image.new("RGB", (1, 1)).save("no-face.png")
    result = run("protect", ".", "--strength", "high", "-o", "out")
    assert result.exit_code == 3
    assert result.stdout.count("\n") == 1
    assert names(Path("out")) == ["photo_protected.png"]
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == len(BAD_PHOTOS) + 1
    assert result.stderr.splitlines()[-1] == f"1 done, 0 skipped, {len(errors)} failed"
    assert "Traceback" not in result.stderr


@pytest.mark.usefixtures("use_artifacts")
def test_failures_as_json(run: Run, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("text")
    result = run("detect", "text.jpg", "--json")
    facts = json.loads(result.stdout)
    assert (facts["input"], facts["error"], facts["exit_code"]) == ("text.jpg", "PhotoError", 3)
    assert facts["message"] in result.stderr


@pytest.mark.parametrize("command", ["protect", "detect"])
@pytest.mark.parametrize("size", [1, 300])
@pytest.mark.usefixtures("use_artifacts")
def test_no_face(run: Run, tmp_path: Path, command: str, size: int) -> None:
    Image.new("RGB", (size, size), "blue").save("blue.png")
    assert_one_line_error(run(command, "blue.png"), 4, "blue.png: no face found")
    assert names(tmp_path) == ["blue.png"]


@pytest.mark.parametrize(
    ("inputs", "word"),
    [
        (["missing.jpg"], "missing.jpg: cannot be read (No such file or directory)"),
        (["missing/"], "missing: cannot be read"),
        (["*.jpg"], "no photo matches"),
        (["."], "no photo in this folder"),
        (["/dev/zero"], "not a file"),
    ],
)
@pytest.mark.usefixtures("use_artifacts")
def test_missing_inputs(run: Run, inputs: list[str], word: str) -> None:
    assert_one_line_error(run("detect", *inputs), 3, word)


@pytest.mark.usefixtures("use_artifacts")
def test_outputs_are_never_overwritten(run: Run, photo_file: Path) -> None:
    taken = photo_file.with_name("photo_protected.png")
    taken.write_text("mine")
    result = run("protect", "photo.png", "--steps", 1)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert result.stderr.startswith("photo.png: skipped, photo_protected.png exists already, perhaps of another photo")
    assert_one_line_error(run("protect", "photo.png", "--steps", 1, "-o", taken), 7, "never overwritten")
    assert_one_line_error(run("protect", "photo.png", "--steps", 1, "-o", photo_file), 7, "never overwritten")
    assert taken.read_text() == "mine"


@pytest.mark.usefixtures("use_artifacts", "photo_file")
def test_two_photos_with_one_output(run: Run) -> None:
    Path("other").mkdir()
    shutil.copy("photo.png", "other")
    result = run("detect", "photo.png", "other/photo.png", "photo.png", "--draw", "out")
    assert result.exit_code == 7
    assert "other/photo.png: out/photo_faces.png is the output of another photo as well" in result.stderr
    assert names(Path("out")) == ["photo_faces.png"]
    assert result.stderr.splitlines()[-1] == "1 done, 0 skipped, 1 failed"


@pytest.mark.parametrize("place", ["photo.png/below", "/proc/nowhere", f"{'n' * 300}.png"])
@pytest.mark.usefixtures("use_artifacts", "photo_file")
def test_place_that_cannot_be_written(run: Run, tmp_path: Path, place: str) -> None:
    assert_one_line_error(run("protect", "photo.png", "--steps", 1, "-o", place), 7, "cannot be written")
    assert names(tmp_path) == ["photo.png"]


@pytest.mark.usefixtures("use_artifacts")
def test_full_disk(photo_file: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "protect", "photo.png", "--steps", "1"],
        cwd=photo_file.parent,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (7, "")
    (line,) = done.stderr.splitlines()
    assert "cannot be written (File too large)" in line
    assert names(photo_file.parent) == ["photo.png"]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--budget", "0"], "budget is 0; it is above 0 and at most 1"),
        (["--budget=-1"], "budget is -1"),
        (["--budget", "1.5"], "budget is 1.5"),
        (["--budget", "nan"], "budget is nan"),
        (["--clamp", "0.5"], "clamp is 0.5; it is in pixel levels, from 1 to 255"),
        (["--clamp", "256"], "clamp is 256"),
        (["--clamp", "nan"], "clamp is nan"),
        (["--away", "--epsilon", "0"], "epsilon is 0"),
        (["--away", "--epsilon=-1"], "epsilon is -1"),
        (["--away", "--epsilon", "256"], "epsilon is 256"),
        (["--label", "Ada", "--consent", "--epsilon", "nan"], "epsilon is nan"),
        (["--away", "--step-size", "0"], "step size is 0"),
        (["--away", "--step-size", "inf"], "step size is inf"),
        (["--epsilon", "8"], "epsilon and step size are for labels; a cloak has a budget and a clamp"),
        (["--step-size", "2"], "epsilon and step size are for labels"),
        (["--label", "Ada", "--consent", "--budget", "0.04"], "budget is for faces that move away from themselves"),
        (["--away", "--clamp", "16"], "clamp is for faces that move away from themselves"),
        (["--steps", "0"], "steps is 0"),
        (["--steps", "1001"], "steps is 1001"),
        (["--seed=-1"], "seed is -1"),
        (["--faces", "0"], "numbered from 1"),
        (["--label", "Nobody", "--consent"], 'no label "Nobody"'),
    ],
)
@pytest.mark.usefixtures("fake_artifacts")
def test_settings_out_of_range(run: Run, photo_file: Path, options: list[str], word: str) -> None:
    assert_one_line_error(run("protect", "photo.png", *options), 6, word)
    assert names(photo_file.parent) == ["photo.png"]


@pytest.mark.usefixtures("use_artifacts", "photo_file")
def test_face_number_that_does_not_exist(run: Run) -> None:
    assert_one_line_error(run("protect", "photo.png", "--steps", 1, "--faces", "1,2"), 6, "there is no face 2")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--label", "Ada", "--away"], "exclude each other"),
        (["--consent"], "give --label"),
        (["--faces", "left"], "neither"),
        (["--strength", "huge"], "huge"),
        (["--threads", "0"], "threads"),
        (["--epsilon", "many"], "epsilon"),
        (["--budget", "many"], "budget"),
    ],
)
@pytest.mark.usefixtures("fake_artifacts")
def test_wrong_usage(run: Run, options: list[str], word: str) -> None:
    result = run("protect", "photo.png", *options)
    assert result.exit_code == 2
    assert word in result.stderr.splitlines()[-1]


@pytest.mark.usefixtures("photo_file")
@pytest.mark.parametrize("command", ["protect", "detect", "inspect"])
def test_missing_artifacts(run: Run, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.delenv("FACE_ENCRYPTION_ARTIFACTS", raising=False)
    inputs = [] if command == "inspect" else ["photo.png"]
    assert_one_line_error(run(command, *inputs), 5, "artifacts: no such folder; run `face-encryption export`")
    Path("artifacts").mkdir()
    assert_one_line_error(run(command, *inputs), 5, "export")


@pytest.mark.usefixtures("photo_file")
def test_artifacts_of_another_version(run: Run, tmp_path: Path) -> None:
    artifacts_folder(tmp_path / "artifacts", format=9)
    assert_one_line_error(run("protect", "photo.png"), 5, "manifest.json: format 9")


@pytest.mark.usefixtures("photo_file")
def test_artifacts_that_do_not_belong_together(run: Run, tmp_path: Path) -> None:
    folder = artifacts_folder(tmp_path / "artifacts")
    graph_file(folder / "attack-feature-end.onnx", "attack-feature-end", "def")
    assert_one_line_error(run("protect", "photo.png"), 5, "attack-feature-end.onnx: not the file that manifest.json")
    describe(folder, MANIFEST)
    assert_one_line_error(run("protect", "photo.png"), 5, "attack-feature-end.onnx: its checkpoint_sha256 is def")


@pytest.mark.usefixtures("use_artifacts", "photo_file")
def test_detect(run: Run) -> None:
    result = run("detect", "photo.png")
    assert re.fullmatch(r"photo\.png face 1: box \d+,\d+ to \d+,\d+, score 0\.\d\d\n", result.stdout)
    assert (result.stderr, result.exit_code) == ("", 0)
    (face,) = json.loads(run("detect", "photo.png", "--json").stdout)["faces"]
    assert np.shape(face["keypoints"]) == (6, 2)


@pytest.mark.usefixtures("use_artifacts")
def test_detect_draws_a_copy(run: Run, photo_file: Path) -> None:
    result = run("detect", "photo.png", "--draw", "marked.png")
    assert result.exit_code == 0
    marked, plain = read_photo(Path("marked.png").read_bytes()), read_photo(photo_file.read_bytes())
    changed = (marked.pixels != plain.pixels).any(axis=2).mean()
    assert 0.001 < changed < 0.1
    assert_one_line_error(run("detect", "photo.png", "--draw", "marked.png"), 7, "never overwritten")


@pytest.mark.usefixtures("use_artifacts", "photo_file")
def test_a_face_by_hand(run: Run) -> None:
    found = json.loads(run("detect", "photo.png", "--box", "300,300,400,400", "--json").stdout)["faces"]
    assert [face["box"] for face in found][1] == [300, 300, 400, 400]
    for command in ("detect", "protect"):
        assert_one_line_error(run(command, "photo.png", "--box", "600,0,700,90"), 6, "not in the photo of 512x512")
        assert_one_line_error(run(command, "photo.png", "--box", "9,9,1,1"), 6, "has no size")
        assert run(command, "photo.png", "--box", "here").exit_code == 2
        assert_one_line_error(run(command, "photo.png", "--min-score", 2), 6, "min score is 2")
    written = run("protect", "photo.png", "--steps", 1, "--box", "300,300,400,400", "--faces", 2)
    assert "photo.png face 2: " in written.stdout
    assert "photo.png: faces found: 2" in written.stderr.splitlines()


@pytest.mark.usefixtures("fake_artifacts")
def test_inspect(run: Run) -> None:
    assert "recognizer.onnx" in run("inspect").stdout
    found = json.loads(run("inspect", "--json").stdout)
    assert found == json.loads(Path(os.environ["FACE_ENCRYPTION_ARTIFACTS"], "manifest.json").read_text())
    assert_one_line_error(run("inspect", "elsewhere"), 5, "elsewhere: no such folder")


def test_version_and_help(run: Run) -> None:
    assert re.search(r"\d+\.\d+", run("--version").stdout)
    listed = run("--help").stdout
    for command in ("protect", "detect", "inspect", "train", "export"):
        assert re.search(rf"^  {command} ", listed, re.MULTILINE)
    assert run("nonsense").exit_code == 2


def test_stage_that_is_not_installed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("dream", "face_encryption.dreaming.cli:dream", "face_encryption.commands")
    monkeypatch.setattr(group, "_other_stages", lambda: {"dream": entry})
    assert "Not installed: install face-encryption[dreaming]" in run("--help").stdout
    for arguments in ([], ["x", "--y", "z"], ["--help"]):
        assert_one_line_error(run("dream", *arguments), 2, "install face-encryption[dreaming]")


def test_stage_that_finds_its_packages_missing_when_it_runs(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "stages" / "dreaming").mkdir(parents=True)
    command = "import click\n@click.command()\ndef dream():\n    import no_such_package\n"
    (tmp_path / "stages" / "dreaming" / "cli.py").write_text(command)
    monkeypatch.syspath_prepend(tmp_path)
    entry = EntryPoint("dream", "stages.dreaming.cli:dream", "face_encryption.commands")
    monkeypatch.setattr(group, "_other_stages", lambda: {"dream": entry})
    assert run("dream", "--help").exit_code == 0
    assert_one_line_error(run("dream"), 2, "No module named 'no_such_package'; install face-encryption[dreaming]")


@pytest.mark.usefixtures("use_artifacts")
def test_several_photos_at_once(run: Run, photo_file: Path) -> None:
    for number in range(3):
        shutil.copy("photo.png", f"{number}.png")
    Path("1b.png").write_text("no photo")
    one_by_one = run("protect", ".", "--steps", 1, "--threads", 1, "--json", "-o", "out")
    at_once = run("protect", ".", "--steps", 1, "--threads", 1, "--json", "-o", "out2", "--jobs", 3)
    assert at_once.exit_code == one_by_one.exit_code == 3
    inputs = [json.loads(line)["input"] for line in at_once.stdout.splitlines()]
    assert inputs == ["0.png", "1.png", "1b.png", "2.png", "photo.png"]
    for name in names(Path("out")):
        assert Path("out", name).read_bytes() == Path("out2", name).read_bytes()


@pytest.fixture
def many_photos(tmp_path: Path, photo_file: Path) -> Path:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(100):
        os.link(photo_file, folder / f"{number:03}.png")
    return folder


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.usefixtures("use_artifacts")
def test_interruption(many_photos: Path, jobs: str) -> None:
    with subprocess.Popen(
        [*COMMAND, "protect", ".", "--steps", "1", "-o", "out", "--jobs", jobs],
        cwd=many_photos,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts background jobs with SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, errors = process.stdout.read(), process.stderr.read()
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "Interrupted."
    assert "Traceback" not in errors
    written = names(many_photos / "out")
    assert 1 + len(rest.splitlines()) <= len(written) < 100
    for name in written:
        read_photo((many_photos / "out" / name).read_bytes())


@pytest.mark.usefixtures("use_artifacts")
def test_reader_that_goes_away(many_photos: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "detect", "."],
        cwd=many_photos,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert process.returncode == 1
    assert errors == ""


def test_photo_too_large_for_the_memory(
    run: Run, photo_file: Path, monkeypatch: pytest.MonkeyPatch, use_artifacts: None
) -> None:
    def fail(_: Path) -> bytes:
        raise MemoryError

    for command in ("detect", "protect"):
        monkeypatch.setattr(import_module(f"face_encryption.runtime.cli.{command}"), "read", fail)

    assert_one_line_error(run("detect", "photo.png"), 3, "not enough memory")
    given = ["protect", "photo.png", "--steps", "1", "--gallery", "photo.png"]
    assert_one_line_error(run(*given), 3, "not enough memory")

"""Training on a small layout: a run learns, goes on after a kill, runs in two processes, and says what is wrong."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from accelerate.state import AcceleratorState
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from face_encryption.training import cli
from face_encryption.training import train as module
from face_encryption.training.checkpoint import (
    load_checkpoint,
)
from face_encryption.training.cli import train as command
from face_encryption.training.config import Config, load_data
from face_encryption.training.data.layouts import DataError
from face_encryption.training.evaluation.verification import accuracy, evaluate
from face_encryption.training.recipe import Recipe, load_recipe
from face_encryption.training.trainer import learning_rates, no_worse

SMALL = Recipe(97, 0.1, 3, 2e-4, identity=1.0, rotation=10, zoom=0.1, degrade=0.2, batch=4)
SMALL_TOML = """
input_size = 97
crop_margin = 0.1
batch = 8
epochs = {epochs}
learning_rate = 2e-4
identity = 1.0
"""


def config(data: Path, detector: Path, folder: Path, **changes: object) -> Config:
    options = {"out": folder / "r.safetensors", "cache": folder / "cache", "recipe": SMALL}
    return Config(data, detector=detector, **(options | changes))  # type: ignore[arg-type]


def history(out: Path) -> list[dict[str, str]]:
    with out.with_suffix(".csv").open() as file:
        return list(csv.DictReader(file))


def write_teacher(path: Path, height: int, width: int) -> None:
    """A recognizer that sees nothing but coarse colours."""
    mean = onnx.numpy_helper.from_array(np.full((3, 1, 16, 16), 1 / 256, np.float32), "mean")
    nodes = [
        onnx.helper.make_node("Conv", ["x", "mean"], ["pooled"], strides=[16, 16], group=3),
        onnx.helper.make_node("Flatten", ["pooled"], ["y"]),
    ]
    size = 3 * (height // 16) * (width // 16)
    values = [
        onnx.helper.make_tensor_value_info(name, 1, shape)
        for name, shape in (("x", [1, 3, height, width]), ("y", [1, size]))
    ]
    graph = onnx.helper.make_graph(nodes, "teacher", values[:1], values[1:], [mean])
    opset = onnx.helper.make_opsetid("", 18)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=10), path)


def test_a_run_learns_and_its_checkpoint_says_what_it_is(data: Path, detector: Path, tmp_path: Path) -> None:
    chosen = config(data, detector, tmp_path, recipe=replace(SMALL, epochs=6, batch=8))
    description = module.train(chosen)
    rows = history(chosen.out)
    assert [row["epoch"] for row in rows] == list("123456")
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert chosen.out.with_suffix(".png").is_file()
    model, loaded = load_checkpoint(chosen.out)
    assert loaded.classes == ["ada", "bob"]
    assert json.loads(json.dumps(vars(loaded))) == json.loads(json.dumps(vars(description)))
    assert json.loads(loaded.recipe)["epochs"] == 6
    assert loaded.training_data == "photos"
    found = load_data(chosen)
    test = found.test
    assert test is not None
    assert loaded.training_accuracy == round(accuracy(model, found.train, loaded), 4) > 0
    report = evaluate(model, loaded, test, test)
    assert loaded.accuracy == round(report.accuracy, 4)
    assert loaded.thresholds == report.verification.thresholds
    assert loaded.true_accept_rates == {rate: round(share, 4) for rate, share in report.verification.rates.items()}
    assert loaded.thresholds["0.001"] >= loaded.thresholds["0.01"]
    embedding, logits = model(torch.zeros(2, 3, 112, 112))
    assert torch.allclose(embedding.norm(dim=1), torch.ones(2), atol=1e-5)
    assert logits.shape == (2, 2)


def test_mixed_precision_learns_what_full_precision_learns(data: Path, detector: Path, tmp_path: Path) -> None:
    slow, losses = replace(SMALL, epochs=2, learning_rate=3e-5), []
    for bf16 in (False, True):
        AcceleratorState._reset_state(reset_partial_state=True)  # which holds one precision for all of a process
        chosen = config(data, detector, tmp_path / str(bf16), bf16=bf16, recipe=slow)
        module.train(chosen)
        AcceleratorState._reset_state(reset_partial_state=True)
        losses.append([float(row["loss"]) for row in history(chosen.out)])
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.1, abs=0.02)


def test_a_killed_run_continues_and_ends_like_an_uninterrupted_one(data: Path, detector: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(SMALL_TOML.format(epochs=8))
    given = [
        sys.executable,
        "-m",
        "face_encryption.runtime",
        "train",
        str(data),
        "--recipe",
        str(tmp_path / "recipe.toml"),
    ]
    given += ["--detector", str(detector), "--cache", str(tmp_path / "cache")]
    whole, killed = tmp_path / "whole.safetensors", tmp_path / "killed.safetensors"
    done = subprocess.run([*given, "--out", str(whole)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    process = subprocess.Popen([*given, "--out", str(killed)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while not killed.with_suffix(".csv").exists() or len(history(killed)) < 3:
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not killed.exists()
    again = subprocess.run([*given, "--out", str(killed)], check=True, capture_output=True, text=True)
    assert "continuing after epoch" in again.stdout
    epochs = [int(row["epoch"]) for row in history(killed)]
    # The kill may have come between an epoch's line and its state: that epoch is then done and written twice.
    assert sorted(set(epochs)) == list(range(1, 9))
    assert len(epochs) <= 9
    last = [float(history(out)[-1]["loss"]) for out in (whole, killed)]
    assert last[1] == pytest.approx(last[0], rel=0.05, abs=0.01)
    assert load_checkpoint(killed)[1].accuracy == pytest.approx(load_checkpoint(whole)[1].accuracy, abs=0.01)


def test_other_photos_under_the_same_names_begin_another_run(data: Path, detector: Path, tmp_path: Path) -> None:
    people = tmp_path / "people"
    shutil.copytree(data, people)
    chosen = config(people, detector, tmp_path)
    module.train(chosen)
    once = len(history(chosen.out))
    module.train(chosen)
    assert len(history(chosen.out)) == once  # all of it was done already
    before = load_data(chosen).train
    Image.open(people / "ada" / "0.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(people / "ada" / "0.png")
    after = load_data(chosen).train
    assert after.key != before.key
    assert (after.faces[0] != before.faces[0]).any()
    state = torch.load(chosen.out.with_suffix(".resume.pt"), weights_only=True)
    module.train(chosen)
    again = torch.load(chosen.out.with_suffix(".resume.pt"), weights_only=True)
    assert state["made_from"] != again["made_from"]
    assert any((state["model"][name] != value).any() for name, value in again["model"].items())


@pytest.mark.parametrize(
    "losses", ["identity = 1.0\n", "cosine = 20.0\nrelational = 2.0\nidentity = 0.5\nmuon = 2.5\n"]
)
def test_two_processes_learn_what_one_learns(data: Path, detector: Path, tmp_path: Path, losses: str) -> None:
    # Batches of five, some faces without a name: the processes have different parts of either.
    views = "rotation = 15\nzoom = 0.1\nshift = 0.05\nlight = 0.2\ndegrade = 0.5\n"
    head = "input_size = 97\ncrop_margin = 0.1\nbatch = 5\nepochs = 3\nlearning_rate = 3e-5\n"
    (tmp_path / "recipe.toml").write_text(f"{head}{views}{losses}")
    write_teacher(tmp_path / "teacher.onnx", 112, 112)
    for name, numbers in (("train", (2, 3, 4, 5)), ("test", (6,))):
        lines = [f"{person}/{number}.png\n" for person in ("ada", "bob") for number in numbers]
        (tmp_path / f"{name}.txt").write_text("".join(lines))
    lists = {"train_list": tmp_path / "train.txt", "test_list": tmp_path / "test.txt"}
    teacher = {"teacher": tmp_path / "teacher.onnx"}
    recipe = load_recipe(str(tmp_path / "recipe.toml"))
    alone = config(data, detector, tmp_path, recipe=recipe, **lists, **teacher)
    module.train(alone)
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    start += ["-m", "face_encryption.runtime", "train", str(data), "--recipe", str(tmp_path / "recipe.toml")]
    start += ["--detector", str(detector), "--cache", str(alone.cache), "--out", str(tmp_path / "two.safetensors")]
    for name, path in (lists | teacher).items():
        start += [f"--{name.replace('_', '-')}", str(path)]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(start, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    one, two = history(alone.out), history(tmp_path / "two.safetensors")
    assert len(one) == len(two) == 3
    for first, second in zip(one, two, strict=True):
        assert float(second["loss"]) == pytest.approx(float(first["loss"]), rel=0.02)
    assert two[0]["train_accuracy"] == one[0]["train_accuracy"]


def test_tensorboard_shows_the_history(data: Path, detector: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(SMALL_TOML.format(epochs=2))
    given = [str(data), "--recipe", str(tmp_path / "recipe.toml"), "--detector", str(detector), "--tensorboard"]
    given += ["--out", str(tmp_path / "r.safetensors"), "--cache", str(tmp_path / "cache")]
    result = CliRunner().invoke(command, given)
    assert result.exit_code == 0, result.output
    events = EventAccumulator(str(tmp_path / "r")).Reload()
    rows = history(tmp_path / "r.safetensors")
    for name in ("loss", "train_accuracy", "validation_accuracy", "seconds"):
        shown = [(event.step, event.value) for event in events.Scalars(name)]
        assert shown == [(int(row["epoch"]), pytest.approx(float(row[name]))) for row in rows]


def test_tensorboard_missing_is_said_in_one_line(
    data: Path, detector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "find_spec", lambda name: None)
    given = [str(data), "--tensorboard", "--detector", str(detector), "--out", str(tmp_path / "r.safetensors")]
    result = CliRunner().invoke(command, given)
    assert result.exit_code == 1
    assert result.stderr == "Error: --tensorboard needs a package: pip install 'face-encryption[tensorboard]'\n"


def test_starting_from_other_weights(data: Path, detector: Path, tmp_path: Path) -> None:
    first = config(data, detector, tmp_path, recipe=replace(SMALL, epochs=1, learning_rate=1e-4))
    module.train(first)
    larger = replace(SMALL, epochs=1, learning_rate=1e-4, input_size=112)
    second = replace(first, recipe=larger, init=first.out, out=tmp_path / "s.safetensors", data_name="LFW")
    module.train(second)
    description = load_checkpoint(second.out)[1]
    assert (description.input_size, description.training_data) == (112, "LFW")

    # The same run again, a quarter of whose result is what it began with.
    mixed = replace(second, recipe=replace(larger, average=0.25), out=tmp_path / "m.safetensors")
    module.train(mixed)
    weights = [load_file(each.out)["identities"].float() for each in (first, second, mixed)]
    assert torch.allclose(weights[2], 0.25 * weights[0] + 0.75 * weights[1], atol=2e-4)
    with pytest.raises(DataError, match="name a checkpoint with --init"):
        load_data(replace(mixed, init=None))


def test_a_teacher_is_learned_from(data: Path, detector: Path, tmp_path: Path, shared: Path) -> None:
    recipe = replace(SMALL, epochs=5, learning_rate=1e-3, cosine=20.0, relational=1.0, identity=0.0, morphs=6)
    models = shared / "models"
    (tmp_path / "teachers.toml").write_text(
        f'[sface]\nmodel = "{models}/sface.onnx"\n'
        f'[faceplugin]\nmodel = "{models}/faceplugin.onnx"\nchannels = "BGR"\nmean = 127.5\nstd = 128\n'
    )
    chosen = config(data, detector, tmp_path, recipe=recipe, teacher=tmp_path / "teachers.toml")
    loaded = load_data(chosen)
    faces, morphs = loaded.train, loaded.morphs
    assert faces.teacher is not None
    assert faces.teacher.shape == (len(faces.faces), 128 + 512)
    same = faces.teacher @ faces.teacher.T
    assert same[0, 1] > 0.8  # two photos of one person that differ in brightness
    assert morphs is not None
    assert morphs.teacher is not None
    assert morphs.teacher.shape == (6, 128 + 512)
    assert np.allclose(np.linalg.norm(morphs.teacher, axis=1), 1, atol=1e-5)
    assert ((morphs.teacher @ faces.teacher.T).max(1) < 0.99).any()  # a mixture is not one of its faces
    description = module.train(chosen)
    losses = [float(row["loss"]) for row in history(chosen.out)]
    assert losses[4] < losses[0]
    assert description.classes == ["ada", "bob"]


def test_learning_rate_rises_and_falls() -> None:
    rates = learning_rates(1.0, 100)
    assert rates[0] < rates[4]
    assert rates.argmax() < 10
    assert rates[-1] < 0.01


def test_of_epochs_that_validation_cannot_tell_apart_the_last_counts() -> None:
    assert no_worse(0.5, -1.0, 300)
    assert no_worse(0.98, 0.98, 300)
    assert no_worse(0.975, 0.98, 300)  # a standard error is 0.008
    assert not no_worse(0.97, 0.98, 300)
    assert not no_worse(0.975, 0.98, 3000)
    assert not no_worse(0.99, 1.0, 300)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"--recipe": "none"}, "none: neither a recipe (again, distilled, gpu, study) nor a readable file"),
        ({"--recipe": "distilled"}, "this recipe learns from a teacher: name one with --teacher"),
        ({"--recipe": "again", "--teacher": "other-size.onnx"}, "it begins with: name a checkpoint with --init"),
        ({"--teacher": "other-size.onnx"}, "it takes [1, 3, 64, 48], not [1, 3, N, N]"),
        ({"--teacher": "recipe.toml"}, "not a TOML file of recognizers"),
        ({"--teacher": "pairs.txt"}, "not an ONNX model"),
        ({"--teacher": "teachers.toml"}, "none.onnx: no such recognizer"),
        ({"--pairs": "pairs.txt"}, "pairs.txt: shows ada, who is trained on"),
        ({"--train-list": "train.txt", "--test-list": "test.txt"}, "thresholds need photos of two people"),
        ({"--imagenet": "recipe.toml"}, "no ResNet-18 weights as safetensors"),
        ({"--init": "recipe.toml"}, "not a readable safetensors file"),
        ({"--detector": "recipe.toml"}, "face-encryption export --detector-only"),
    ],
)
def test_command_reports_what_is_wrong_in_one_line(
    options: dict[str, str], message: str, data: Path, detector: Path, tmp_path: Path
) -> None:
    recipe = SMALL_TOML.format(epochs=1) + ("cosine = 1.0" if "--teacher" in options else "")
    (tmp_path / "recipe.toml").write_text(recipe)
    (tmp_path / "pairs.txt").write_text("ada/0.png ada/1.png\n")
    (tmp_path / "train.txt").write_text("ada/0.png ada/1.png bob/0.png bob/1.png\n")
    (tmp_path / "test.txt").write_text("ada/2.png ada/3.png\n")
    (tmp_path / "teachers.toml").write_text('[one]\nmodel = "none.onnx"\n')
    write_teacher(tmp_path / "other-size.onnx", 64, 48)
    chosen = {"--recipe": "recipe.toml", "--detector": str(detector)} | options
    given = [str(data), "--out", str(tmp_path / "r.safetensors"), "--cache", str(tmp_path / "cache")]
    for name, value in chosen.items():
        given += [name, str(tmp_path / value) if (tmp_path / value).exists() else value]
    result = CliRunner().invoke(command, given)
    assert result.exit_code == 1, result.output
    assert result.stderr.strip().splitlines()[-1].startswith("Error: ")
    assert message in result.stderr
    assert not (tmp_path / "r.safetensors").exists()


def test_skipped_photos_are_reported(data: Path, detector: Path, tmp_path: Path) -> None:
    chosen = config(data, detector, tmp_path)
    assert len(load_data(chosen).train.names) < len(np.unique(list(data.glob("*/*"))))
    skipped = "".join(path.read_text() for path in tmp_path.glob("cache/*/skipped.csv"))
    for line in ("ada/0-nobody.png,no face", "ada/1-twins.png,two faces of equal size", "bob/0-broken.jpg,unreadable"):
        assert line in skipped

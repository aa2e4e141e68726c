"""What is said of a recognizer is counted right, and the model card says what the shipped checkpoint says of itself."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from face_encryption.export.cli import CHECKPOINT
from face_encryption.training.checkpoint import Description, load_checkpoint, save_checkpoint
from face_encryption.training.cli import evaluate as command
from face_encryption.training.data.faces import FaceSet
from face_encryption.training.evaluation.verification import Verification, thresholds, true_accept_rate, verify
from face_encryption.training.model import Recognizer

DESCRIPTION = Description(["ada"], 97)


def test_thresholds_are_what_the_impostors_reach() -> None:
    impostor = torch.linspace(-1, 1, 10_001)
    for rate, threshold in thresholds(impostor).items():
        assert true_accept_rate(impostor, threshold) == pytest.approx(float(rate), abs=2e-4)


def test_pairs_that_do_not_exist_have_no_rates() -> None:
    def verified(names: list[str]) -> Verification:
        faces = np.random.default_rng(0).integers(0, 256, (len(names), 97, 97, 3), np.uint8)
        return verify(Recognizer(1), FaceSet(faces, names, np.zeros((len(names), 6, 2), np.float32)), DESCRIPTION)

    assert (verified(["ada", "ada"]).thresholds, verified(["ada", "ada"]).rates) == ({}, {})
    assert verified(["ada", "bob"]).thresholds.keys() == {"0.01", "0.001"}
    assert verified(["ada", "bob"]).rates == {}


def test_an_untrained_recognizer_is_reported_as_it_is(data: Path, detector: Path, tmp_path: Path) -> None:
    model = Recognizer(2)
    with torch.no_grad():  # whatever it is shown, it sees ada
        model.neck.weight.zero_()
        model.neck.bias.fill_(1)
        model.identities[0], model.identities[1] = 1, -1
    save_checkpoint(tmp_path / "c.safetensors", model, Description(["ada", "bob"], 97))
    given = ["recognizer", str(tmp_path / "c.safetensors"), str(data), "--detector", str(detector)]
    given += ["--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(command, [*given, "--json"], catch_exceptions=False)
    found = json.loads(result.stdout.splitlines()[-1])
    assert found["accuracy"] == 0.5
    assert found["identities"] == [["bob", 2, 0, "ada"], ["ada", 2, 2, ""]]
    with (tmp_path / "out" / "identities.csv").open() as file:
        assert list(csv.reader(file))[1] == ["bob", "2", "0", "ada"]
    assert (tmp_path / "out" / "verification.png").is_file()
    words = CliRunner().invoke(command, given, catch_exceptions=False).stdout
    assert "bob: 0 of 2, mostly taken for ada" in words

    save_checkpoint(tmp_path / "c.safetensors", Recognizer(1), Description(["ada"], 97))
    refused = CliRunner().invoke(command, given)
    assert refused.exit_code == 1
    assert "does not know bob" in refused.stderr


def test_the_model_card_says_what_the_checkpoint_says() -> None:
    card = (Path(__file__).parents[2] / "models" / "README.md").read_text()
    description = load_checkpoint(CHECKPOINT)[1]
    size = description.input_size
    assert re.search(rf"\| input \| {size}x{size}", card)
    assert f"| test accuracy | {description.accuracy:.4f} on" in card
    for far, rate in description.true_accept_rates.items():
        threshold = description.thresholds[far]
        assert f"FAR {float(far):.1%}: threshold {threshold:.4f}, TAR {rate:.4f}" in card
    assert f"{description.minutes:.0f} minutes" in card
    assert description.licence in card

"""The cloak of our recognizer: its graphs against PyTorch on a real face, bounds, and what it achieves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from skimage.metrics import structural_similarity

from face_encryption.export.attack.cloak import GRID, CloakBegin, CloakStep, Source, cloak
from face_encryption.export.attack.ensemble import source
from face_encryption.export.attack.surrogate import FaceRecognizer, Surrogate
from face_encryption.export.cli import CHECKPOINT
from face_encryption.runtime.faces import cut_square, detect
from face_encryption.runtime.onnx_runtime import ort
from face_encryption.training.checkpoint import load_checkpoint

from .cloak_steps import CloakSteps

STEPS = [1, 2, 3, 4, 8]
BUDGET, CLAMP, SEED = 0.06, 20.0, 11
Array = NDArray[Any]


@dataclass
class Setup:
    """A real face, the graphs in floats and in integers, and their reference in PyTorch."""

    graphs: dict[str, CloakSteps]
    surrogate: Surrogate
    source: Source
    face: NDArray[np.uint8]
    keypoints: NDArray[np.float32]

    def feed(self, **other: Any) -> dict[str, Array]:
        """Return the inputs of a cloak up to the seed, in the order of `cloak`."""
        face = other.get("face", self.face)
        inputs = {
            "face": face,
            "keypoints": self.keypoints * (len(face) / len(self.face)),
            "reference": self.embed(face),
            "budget": np.float32(BUDGET),
            "clamp": np.float32(CLAMP),
            "seed": SEED,
        }
        return {name: np.asarray(other.get(name, value)) for name, value in inputs.items()}

    def embed(self, face: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.no_grad():
            embedding: NDArray[np.float32] = FaceRecognizer(self.surrogate)(torch.from_numpy(face.copy()))[0].numpy()
        return embedding

    def run(self, name: str, steps: int, **other: Any) -> tuple[Any, list[float]]:
        return self.graphs[name](steps, **self.feed(**other))

    def reference(self, steps: int, **other: Any) -> tuple[Array, Array]:
        with torch.no_grad():
            given = [torch.from_numpy(value.copy()) for value in self.feed(**other).values()]
            protected, losses = cloak([self.source], steps, *given)
        return protected.numpy(), losses.numpy()


@pytest.fixture(scope="module")
def setup(float_attacks: Path, own_attacks: Path, astronaut: NDArray[np.uint8]) -> Setup:
    model, description = load_checkpoint(CHECKPOINT)
    surrogate = Surrogate(model, description).eval()
    found = detect(ort.InferenceSession(str(own_attacks / "detector.onnx")), astronaut)[0]
    face, corner = cut_square(astronaut, found.box, description.crop_margin)
    graphs = {"float": CloakSteps.of_folder(float_attacks), "integer": CloakSteps.of_folder(own_attacks)}
    return Setup(graphs, surrogate, source(surrogate), face, found.keypoints - np.array(corner, np.float32))


def test_every_step_from_pytorchs_own_perturbation(setup: Setup) -> None:
    step, feed, session = CloakStep([setup.source]), setup.feed(), setup.graphs["float"].steps[0].session
    begin = {name: torch.from_numpy(feed[name].copy()) for name in ("face", "keypoints", "clamp", "seed")}
    *fixed, perturbation, buffer = CloakBegin()(*begin.values())
    fixed += [torch.from_numpy(feed[name].copy()) for name in ("reference", "budget", "clamp")]
    for iteration in range(8):
        given = [*fixed, torch.tensor(8), perturbation, buffer, torch.tensor(iteration)]
        names = [each.name for each in session.get_inputs()]
        got, moved, loss = session.run(None, {name: each.numpy() for name, each in zip(names, given, strict=True)})
        with torch.no_grad():
            perturbation, buffer, expected = step(*given)
        assert loss == pytest.approx(expected.item(), rel=1e-3, abs=1e-4)
        assert np.linalg.norm(moved - buffer.numpy()) / np.linalg.norm(buffer.numpy()) < 1e-2
        assert np.abs(got - perturbation.numpy()).max() < 0.5
        assert np.abs(got - perturbation.numpy()).mean() < 0.01


@pytest.mark.parametrize("steps", STEPS)
def test_outcome(setup: Setup, steps: int) -> None:
    got, losses = setup.run("float", steps)
    want, expected = setup.reference(steps)
    assert losses == pytest.approx(expected, abs=1e-2)
    assert np.abs(got.astype(int) - want).mean() < 0.5  # steps amplify rounding
    assert setup.embed(got) @ setup.embed(want) >= 0.99


def test_steps_move_the_face_away_within_the_budget(setup: Setup) -> None:
    own, similarity, lost = setup.embed(setup.face), [1.0], [0.0]
    for budget in (0.01, 0.03, 0.09):
        protected, _ = setup.run("integer", 10, budget=np.float32(budget), clamp=np.float32(32))
        similarity.append(float(setup.embed(protected) @ own))
        lost.append(1 - structural_similarity(setup.face, protected, channel_axis=2, data_range=255))
        assert lost[-1] <= budget * 1.25
    assert similarity == sorted(similarity, reverse=True)
    assert lost == sorted(lost)
    assert similarity[2] < 0.3


def test_integers_do_what_floats_do(setup: Setup) -> None:
    own = setup.embed(setup.face)
    floats, integers = (setup.embed(setup.run(name, 10)[0]) @ own for name in ("float", "integer"))
    assert integers == pytest.approx(floats, abs=0.1)


@settings(deadline=None, max_examples=20)
@given(
    side=st.integers(16, 300),
    content=st.integers(0, 2**32 - 1),
    budget=st.floats(2**-13, 1, width=32),
    clamp=st.floats(1, 255, width=32),
    seed=st.integers(0, 2**40),
)
def test_bounds(setup: Setup, side: int, content: int, budget: float, clamp: float, seed: int) -> None:
    random = np.random.default_rng(content)
    low, high = sorted(random.integers(0, 256, 2))
    face = random.integers(low, high + 1, (side, side, 3), dtype=np.uint8)
    keypoints = random.uniform(-0.5, 1.5, (6, 2)).astype(np.float32) * side
    other = {"keypoints": keypoints, "budget": np.float32(budget), "clamp": np.float32(clamp), "seed": seed}
    protected, losses = setup.run("integer", 2, face=face, **other)
    assert protected.dtype == np.uint8
    assert protected.shape == face.shape
    assert np.abs(protected.astype(int) - face).max() <= int(clamp)
    assert np.isfinite(losses).all()
    border = np.ones((side, side), bool)
    border[1:-1, 1:-1] = False
    # A smaller square's pixels cover several of the grid's.
    assert np.array_equal(protected[border], face[border]) or side < GRID


def test_same_seed_same_bytes(setup: Setup) -> None:
    first, again, other = (setup.run("integer", 3, seed=seed)[0] for seed in (SEED, SEED, SEED + 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("side", [GRID, 700, 1500])
def test_a_close_up_is_attacked_on_the_same_grid(setup: Setup, side: int) -> None:
    face = np.asarray(Image.fromarray(setup.face).resize((side, side), Image.Resampling.BICUBIC))
    got, _ = setup.run("integer", 5, face=face)
    assert setup.embed(got) @ setup.embed(face) < 0.6


def test_a_grey_face_stays_grey(setup: Setup) -> None:
    grey = np.asarray(Image.fromarray(setup.face).convert("L").convert("RGB"))
    change = setup.run("integer", 5, face=grey)[0].astype(int) - grey
    assert np.abs(change).max() > 5
    assert np.array_equal(change[..., 0], change[..., 1])
    assert np.array_equal(change[..., 0], change[..., 2])


@pytest.mark.parametrize("gain", [0.12, 2.0])
def test_dark_and_overexposed_faces_move_too(setup: Setup, gain: float) -> None:
    face = np.clip(setup.face * gain, 0, 255).astype(np.uint8)
    got, _ = setup.run("integer", 10, face=face)
    assert setup.embed(got) @ setup.embed(face) < 0.5

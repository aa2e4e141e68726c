"""The recognizer and the attack on labels against PyTorch on a real face, at the six levels that mean something.

Gradients (level 2) are compared in `test_gradient.py` and, on this face, below.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from face_encryption.export.attack.noise import random_start
from face_encryption.export.attack.pgd import FEATHER, GRID, Attack, Square
from face_encryption.export.attack.surrogate import (
    FEATURE,
    LABEL,
    TEMPERATURE,
    FaceRecognizer,
    Objective,
    Surrogate,
    fold,
)
from face_encryption.export.attack.views import DRAWS, draw_view
from face_encryption.export.cases import picture
from face_encryption.export.cli import CHECKPOINT
from face_encryption.export.graph.build import gradient_graph, label_step_graph
from face_encryption.export.graph.loop import looped
from face_encryption.export.validate import Check, ParityError, Validator
from face_encryption.runtime.faces import cut_square, detect
from face_encryption.runtime.onnx_runtime import ort
from face_encryption.training.checkpoint import load_checkpoint

STEPS = [1, 2, 3, 4, 8]
EPSILON, STEP_SIZE, SEED = 8.0, 2.0, 11
AWAY_AND_TOWARDS = pytest.mark.parametrize("direction", [1.0, -1.0])


class Graphs:
    """The sessions of one artifacts folder, each opened once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sessions: dict[str, ort.InferenceSession] = {}

    def run(self, name: str, **feed: Any) -> list[Any]:
        if name not in self.sessions:
            self.sessions[name] = ort.InferenceSession(str(self.folder / f"{name}.onnx"))
        return list(self.sessions[name].run(None, {key: np.asarray(value) for key, value in feed.items()}))


@dataclass
class Setup:
    """A real face and everything that attacks it."""

    graphs: Graphs
    reference: Surrogate
    face: NDArray[np.uint8]
    own: int

    @property
    def attack(self) -> Attack:
        return Attack(self.reference.gradient(LABEL), self.reference.size)

    def stepwise(self, steps: int, face: NDArray[np.uint8], **chosen: Any) -> tuple[Any, list[float]]:
        """Run the graph of one step so many times, as a client does that shows progress."""
        perturbation = buffer = np.zeros((3, min(len(face), GRID), min(len(face), GRID)), np.float32)
        losses = []
        for iteration in range(steps):
            state = {"perturbation": perturbation, "momentum_buffer": buffer, "iteration": iteration}
            perturbation, buffer, protected, loss = self.graphs.run("attack-label-step", face=face, **state, **chosen)
            losses.append(float(loss))
        return protected, losses

    def settings(
        self, direction: float, epsilon: float = EPSILON, step_size: float = STEP_SIZE, plain: bool = False
    ) -> dict[str, Any]:
        # The nearest other label: one far from the face is reached halfway, where rounding decides how far exactly.
        return {
            "label": np.array(self.own if direction < 0 else self.recognize(self.face)[1].argsort()[-2]),
            "direction": np.float32(direction),
            "epsilon": np.float32(epsilon),
            "step_size": np.float32(step_size),
            "momentum": np.float32(not plain),
            "diversity": np.float32(not plain),
            "seed": np.array(SEED),
        }

    def recognize(self, face: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        with torch.no_grad():
            embedding, probabilities = FaceRecognizer(self.reference)(torch.from_numpy(face))
        return embedding.numpy(), probabilities.numpy()


@pytest.fixture(scope="module")
def setup(float_attacks: Path, astronaut: NDArray[np.uint8]) -> Setup:
    graphs = Graphs(float_attacks)
    model, description = load_checkpoint(CHECKPOINT)
    detector = ort.InferenceSession(str(float_attacks / "detector.onnx"))
    face, _ = cut_square(astronaut, detect(detector, astronaut)[0].box, description.crop_margin)
    setup = Setup(graphs, Surrogate(model, description).eval(), face, 0)
    setup.own = int(setup.recognize(face)[1].argmax())
    return setup


def plain_square(face: NDArray[np.uint8]) -> Square:
    return Square(torch.from_numpy(face), torch.tensor(EPSILON), FEATHER)


def plain_view(square: Square, perturbation: torch.Tensor) -> torch.Tensor:
    return draw_view(square.grid, 112, torch.zeros(DRAWS), 0.0).of(square.face(perturbation))


def tensors(given: dict[str, Any]) -> dict[str, torch.Tensor]:
    return {key: torch.tensor(value) for key, value in given.items()}


@pytest.mark.parametrize("side", [40, 112, 224, 301])
def test_1_recognizer(setup: Setup, side: int) -> None:
    face = np.resize(setup.face, (side, side, 3))
    for got, want in zip(setup.graphs.run("recognizer", face=face), setup.recognize(face), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-4)


@pytest.mark.parametrize("objective", [LABEL, FEATURE], ids=lambda objective: objective.name)
def test_2_gradient_of_the_shipped_recognizer(setup: Setup, objective: Objective) -> None:
    import onnx_ir as ir

    model, description = load_checkpoint(CHECKPOINT)
    graph = gradient_graph(fold(model, description), objective)
    session = ort.InferenceSession(ir.serde.serialize_model(graph).SerializeToString())
    square = plain_square(setup.face)
    image = plain_view(square, torch.zeros(3, *setup.face.shape[:2]))
    target = setup.settings(1.0)["label"] if objective is LABEL else setup.recognize(picture(120))[0]
    want, loss = setup.reference.gradient(objective)(image, torch.tensor(target))
    got, got_loss, embedding = session.run(None, {"image": image.numpy(), objective.target: target})
    assert np.linalg.norm(got - want.numpy()) / np.linalg.norm(want.numpy()) < 1e-4
    relevant = np.abs(want.numpy()) > 1e-3 * np.abs(want.numpy()).max()
    assert (np.sign(got) == np.sign(want.numpy()))[relevant].mean() >= 0.999
    assert got_loss == pytest.approx(loss.item(), rel=1e-4)
    np.testing.assert_allclose(embedding, setup.reference(image)[0][0].detach().numpy(), atol=1e-4)


@AWAY_AND_TOWARDS
def test_3_every_step_from_pytorchs_own_perturbation(setup: Setup, direction: float) -> None:
    chosen = setup.settings(direction)
    given, face = tensors(chosen), torch.from_numpy(setup.face)
    perturbation = buffer = torch.zeros(3, *setup.face.shape[:2])
    for iteration in range(8):
        got, moved, _, loss = setup.graphs.run(
            "attack-label-step",
            face=setup.face,
            perturbation=perturbation.numpy(),
            momentum_buffer=buffer.numpy(),
            iteration=iteration,
            **chosen,
        )
        perturbation, buffer, _, expected = setup.attack(
            face, *given.values(), perturbation, buffer, torch.tensor(iteration)
        )
        assert loss == pytest.approx(expected.item(), rel=1e-3, abs=1e-4)
        want = buffer.numpy()
        assert np.linalg.norm(moved - want) / np.linalg.norm(want) < 1e-2
        same = np.abs(got - perturbation.numpy()) < 1e-3
        assert same[np.abs(want) > 1e-3 * np.abs(want).max()].mean() >= 0.999  # where the sign is not of rounding


@pytest.mark.parametrize("steps", STEPS)
def test_3_the_graph_is_its_steps(setup: Setup, steps: int) -> None:
    chosen = setup.settings(-1.0)
    protected, losses = setup.graphs.run("attack-label", face=setup.face, steps=steps, **chosen)
    stepped, met = setup.stepwise(steps, setup.face, **chosen)
    assert losses == pytest.approx(met, rel=1e-3, abs=1e-4)
    assert (protected == stepped).mean() >= 0.99


@settings(deadline=None, max_examples=15)
@given(
    side=st.integers(16, 90),
    content=st.integers(0, 2**32 - 1),
    epsilon=st.floats(0.25, 255, width=32),
    step_size=st.floats(0.125, 300, width=32),
    seed=st.integers(0, 2**40),
    direction=st.sampled_from([1.0, -1.0]),
)
def test_4_bounds(
    setup: Setup, side: int, content: int, epsilon: float, step_size: float, seed: int, direction: float
) -> None:
    random = np.random.default_rng(content)
    low, high = sorted(random.integers(0, 256, 2))
    face = random.integers(low, high + 1, (side, side, 3), dtype=np.uint8)
    chosen = setup.settings(direction, epsilon, step_size) | {"seed": np.array(seed)}
    protected, losses = setup.graphs.run("attack-label", face=face, steps=2, **chosen)
    assert protected.dtype == np.uint8
    assert protected.shape == face.shape
    assert np.abs(protected.astype(int) - face).max() <= math.floor(epsilon)
    assert np.isfinite(losses).all()


@pytest.mark.parametrize("steps", STEPS)
def test_4_same_seed_same_bytes(setup: Setup, steps: int) -> None:
    chosen = setup.settings(-1.0) | {"steps": np.array(steps)}
    first = setup.graphs.run("attack-label", face=setup.face, **chosen)[0]
    fresh = Graphs(setup.graphs.folder).run("attack-label", face=setup.face, **chosen)[0]
    other = setup.graphs.run("attack-label", face=setup.face, **chosen | {"seed": np.array(SEED + 1)})[0]
    assert np.array_equal(first, fresh)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("steps", STEPS)
@AWAY_AND_TOWARDS
def test_5_outcome(setup: Setup, steps: int, direction: float) -> None:
    chosen = setup.settings(direction)
    got, _ = setup.graphs.run("attack-label", face=setup.face, steps=steps, **chosen)
    want, _ = setup.attack.repeated(steps, torch.from_numpy(setup.face), *tensors(chosen).values())
    (embedding, probabilities), (expected_embedding, expected) = setup.recognize(got), setup.recognize(want.numpy())
    assert embedding @ expected_embedding >= 0.99
    label = int(chosen["label"])
    assert probabilities[label] == pytest.approx(expected[label], abs=1e-2)
    assert (probabilities.argmax() == label) == (expected.argmax() == label)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_6_foolbox_from_the_same_start(setup: Setup, steps: int, direction: float) -> None:
    """Foolbox's PGD on the same problem: pixels of the square, seen through feather and resampling."""
    foolbox = pytest.importorskip("foolbox")
    chosen = setup.settings(direction, plain=True)
    square = plain_square(setup.face)

    class Seen(torch.nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = setup.reference(plain_view(square, pixels[0] - square.pixels))[1]
            return logits / TEMPERATURE

    class FromOurStart(foolbox.attacks.LinfProjectedGradientDescentAttack):  # type: ignore[name-defined, misc]
        def get_random_start(self, x0: Any, epsilon: float) -> Any:
            noise = random_start(torch.tensor(SEED), len(setup.face)).permute(2, 0, 1)[None]
            return x0 + type(x0)(noise * epsilon)

    label = torch.tensor([int(chosen["label"])])
    criteria = foolbox.criteria
    goal = criteria.TargetedMisclassification(label) if direction > 0 else criteria.Misclassification(label)
    attack = FromOurStart(abs_stepsize=STEP_SIZE, steps=steps)
    model = foolbox.PyTorchModel(Seen().eval(), bounds=(0, 255))
    theirs = attack.run(model, square.pixels[None], goal, epsilon=EPSILON)[0] - square.pixels
    ours = setup.graphs.run("attack-label", face=setup.face, steps=steps, **chosen)[0]

    def loss(protected: torch.Tensor) -> float:
        image = setup.reference.image(protected)
        return setup.reference.loss(LABEL)(image, label[0])[0].item()

    start, reached = loss(torch.from_numpy(setup.face)), loss(square.protected(theirs))
    # Signs of gradients near zero fall either way; after many steps that shows, as a small part of the way.
    apart = 1e-3 if steps <= 4 else 0.002 * abs(start - reached)
    assert loss(torch.from_numpy(ours)) == pytest.approx(reached, rel=0.01, abs=apart)


@pytest.mark.parametrize("side", [2, 3, GRID - 1, GRID, GRID + 1, 700, 2000])
def test_4_bounds_of_any_side(setup: Setup, side: int) -> None:
    """Among them faces of more pixels than the steps' grid."""
    face = np.random.default_rng(side).integers(0, 256, (side, side, 3), dtype=np.uint8)
    chosen = setup.settings(-1.0, epsilon=2.5, step_size=3.0)
    protected, _ = setup.graphs.run("attack-label", face=face, steps=2, **chosen)
    change = np.abs(protected.astype(int) - face)
    assert protected.shape == face.shape
    assert change.max() == 2


def test_up_to_the_grids_size_the_pixels_are_the_faces_own(setup: Setup) -> None:
    face = picture(GRID)
    square = plain_square(face)
    assert np.array_equal(square.pixels.permute(1, 2, 0), face)
    perturbation = square.project(random_start(torch.tensor(SEED), GRID).permute(2, 0, 1) * EPSILON)
    change = (square.protected(perturbation).float() - torch.from_numpy(face)).permute(2, 0, 1)
    assert torch.equal(change, torch.round(square.mask * perturbation))


def test_3_the_graph_of_a_close_up_is_its_steps(setup: Setup) -> None:
    face, chosen = picture(GRID + 50), setup.settings(-1.0)
    protected, losses = setup.graphs.run("attack-label", face=face, steps=2, **chosen)
    stepped, met = setup.stepwise(2, face, **chosen)
    assert losses == pytest.approx(met, rel=1e-3, abs=1e-4)
    assert (protected == stepped).mean() >= 0.99


def test_the_step_graph_starts_from_the_seed_at_iteration_0(setup: Setup) -> None:
    chosen = setup.settings(1.0)
    results = [
        setup.graphs.run(
            "attack-label-step",
            face=setup.face,
            perturbation=np.full((3, *setup.face.shape[:2]), value, np.float32),
            momentum_buffer=np.full((3, *setup.face.shape[:2]), value, np.float32),
            iteration=iteration,
            **chosen,
        )[0]
        for value, iteration in ((0, 0), (5, 0), (5, 1))
    ]
    assert np.array_equal(results[0], results[1])
    assert not np.array_equal(results[1], results[2])


def test_validation_notices_a_wrong_graph(setup: Setup, tmp_path: Path) -> None:
    """Graphs of another recognizer must not pass, nor one that loses a step."""
    import onnx_ir as ir

    model, description = load_checkpoint(CHECKPOINT)
    torch.manual_seed(0)
    other, _ = load_checkpoint(CHECKPOINT)
    with torch.no_grad():
        other.backbone.conv1.weight.mul_(1 + 0.05 * torch.randn_like(other.backbone.conv1.weight))
    gradient, size = gradient_graph(fold(other, description), LABEL), description.input_size
    step = label_step_graph(gradient, size)
    ir.save(step, tmp_path / "attack-label-step.onnx")
    attack, tape = looped(step), ir.tape.Tape()
    (loop,) = [node for node in attack.graph if node.op_type == "Loop"]
    loop.replace_input_with(0, tape.op("Sub", [loop.inputs[0], tape.op("Constant", [], {"value_int": 1})]))
    attack.graph.insert_before(loop, tape.nodes)
    ir.save(attack, tmp_path / "attack-label.onnx")
    validator = Validator(model, description, tmp_path)
    validator.label_step("attack-label-step.onnx")
    validator.label_attack("attack-label.onnx")
    with pytest.raises(ParityError, match=r"attack-label-step\.onnx.*attack-label\.onnx: steps missing"):
        validator.raise_failures()
    assert not Check("graph", "what", float("nan"), 1.0).ok

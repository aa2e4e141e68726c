"""The gradient route: any module of common layers goes through it, and its gradient is autograd's."""

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, ResNet

from face_encryption.export.cases import picture
from face_encryption.export.gradient import fold_batch_norm
from face_encryption.export.graphs import gradient_graph, label_step_graph
from face_encryption.export.loop import looped
from face_encryption.export.surrogate import LABEL, Surrogate
from face_encryption.runtime.onnx_runtime import ort
from face_encryption.training.checkpoint import Description
from face_encryption.training.model import Recognizer


class VggLike(nn.Module):
    """Max pooling without padding, average pooling, dilation, groups, biases, and a hidden linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=2, dilation=2, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(32, 32, 5, stride=2, padding=2, groups=4),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Conv2d(32, 24, 1),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
            nn.Flatten(),
            nn.Linear(24 * 16, 64),
            nn.BatchNorm1d(64),
            nn.ReLU(),
            nn.Linear(64, 20),
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        features = self.layers(image)
        return F.normalize(features), features


class SmallResNet(nn.Module):
    """A ResNet for 112 pixels that is not torchvision's 18 layers."""

    def __init__(self) -> None:
        super().__init__()
        self.net = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=10)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.net(image)
        return F.normalize(logits), logits


MODELS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "vgg-like": (VggLike, 64),
    "resnet-112": (SmallResNet, 112),
    "recognizer": (lambda: Recognizer(12), 100),
}


def settled(make: Callable[[], nn.Module], size: int) -> nn.Module:
    """A module with batch norm statistics of pictures: fresh ones would fold to almost nothing."""
    torch.manual_seed(1)
    model = make().train()
    pictures = torch.from_numpy(np.stack([picture(size, seed) for seed in range(8)])).permute(0, 3, 1, 2)
    with torch.no_grad():
        for _ in range(20):
            model((pictures.float() - 120) / 60)
    return model.eval()


@pytest.fixture(scope="module", params=MODELS)
def exported(request: pytest.FixtureRequest) -> tuple[Surrogate, Surrogate, ir.Model]:
    """The module as it is, the folded one, and the folded one's exported gradient."""
    make, size = MODELS[request.param]
    model = settled(make, size)
    description = Description([], size)
    folded = Surrogate(fold_batch_norm(model), description)
    return Surrogate(model, description), folded, gradient_graph(folded, LABEL)


def session(model: ir.Model) -> ort.InferenceSession:
    return ort.InferenceSession(ir.serde.serialize_model(model).SerializeToString())


def test_folding_keeps_the_function(exported: tuple[Surrogate, Surrogate, ir.Model]) -> None:
    plain, folded, _ = exported
    assert not [m for m in folded.modules() if isinstance(m, nn.BatchNorm2d)]
    image = torch.from_numpy(picture(plain.size)).permute(2, 0, 1)[None].float()
    for before, after in zip(plain(image), folded(image), strict=True):
        assert torch.allclose(before, after, atol=1e-4)


def test_gradient_is_autograds(exported: tuple[Surrogate, Surrogate, ir.Model]) -> None:
    plain, _, graph = exported
    label, errors, agreement = torch.tensor(4), [], []
    for seed in (3, 4, 5):
        image = torch.from_numpy(picture(plain.size, seed)).permute(2, 0, 1)[None].float().requires_grad_()
        loss, _ = plain.loss(LABEL)(image, label)
        (expected,) = torch.autograd.grad(loss, image)
        got, got_loss, _ = session(graph).run(None, {"image": image.detach().numpy(), "label": label.numpy()})
        want = expected.numpy()
        errors.append(np.linalg.norm(got - want) / np.linalg.norm(want))
        relevant = np.abs(want) > 1e-3 * np.abs(want).max()
        agreement.append((np.sign(got) == np.sign(want))[relevant].mean())
        assert got_loss == pytest.approx(loss.item(), rel=1e-4)
    # Not of each: where a ReLU meets a number that is zero but for rounding, even two threads differ from one.
    assert sorted(errors)[1] < 1e-4
    assert sorted(agreement)[1] >= 0.999


def test_only_standard_ops_and_one_copy_of_the_weights(exported: tuple[Surrogate, Surrogate, ir.Model]) -> None:
    plain, _, graph = exported
    attack = looped(label_step_graph(graph, plain.size))
    (body,) = [node.attributes["body"].as_graph() for node in attack.graph if node.op_type == "Loop"]
    assert {node.domain for each in (attack.graph, body) for node in each} == {""}
    values = [*attack.graph.initializers.values(), *body.initializers.values()]
    stored = sum(value.const_value.nbytes for value in values if value.const_value)
    weights = sum(parameter.numel() * 4 for parameter in plain.model.parameters())
    assert stored <= 1.02 * weights + 10_000


def test_whole_attack_works(exported: tuple[Surrogate, Surrogate, ir.Model]) -> None:
    plain, _, graph = exported
    face = picture(90)
    feed = {
        "face": face,
        "label": np.array(3),
        "direction": np.array(1, np.float32),
        "epsilon": np.array(6, np.float32),
        "step_size": np.array(2, np.float32),
        "momentum": np.array(0, np.float32),
        "diversity": np.array(0, np.float32),
        "seed": np.array(0),
        "steps": np.array(4),
    }
    protected, losses = session(looped(label_step_graph(graph, plain.size))).run(None, feed)
    assert np.abs(protected.astype(int) - face).max() <= 6
    assert losses.shape == (4,)
    assert losses[-1] < losses[0]

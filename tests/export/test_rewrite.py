"""Each rewriting rule: the traced gradient before and after it, in PyTorch and as ONNX."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch import Tensor, fx, nn
from torch.fx.experimental.proxy_tensor import make_fx

from face_encryption.export.gradient import trace_gradient
from face_encryption.export.graphs import to_onnx
from face_encryption.export.pooling import mask_before_unpooling
from face_encryption.export.strided import join_strided
from face_encryption.runtime.onnx_runtime import ort

MAX_POOL_GRADIENT = torch.ops.face_encryption.max_pool_gradient.default
STRIDED_GRADIENT = torch.ops.face_encryption.strided_gradient.default


class Pooled(nn.Module):
    """A convolution, ReLU and max pooling."""

    def __init__(self, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(kernel, stride, padding))

    def forward(self, image: Tensor) -> Tensor:
        pooled: Tensor = self.layers(image)
        return pooled


class Downsampled(nn.Module):
    """A block of a ResNet that halves the map, by kernels of two sizes."""

    def __init__(self, kernel: int, other: int, stride: int = 2) -> None:
        super().__init__()
        self.wide = nn.Conv2d(3, 16, 3, padding=1)
        self.deep = nn.Conv2d(16, 24, kernel, stride, kernel // 2)
        self.short = nn.Conv2d(16, 24, other, stride, other // 2)

    def forward(self, image: Tensor) -> Tensor:
        wide = self.wide(image).relu()
        joined: Tensor = (self.deep(wide) + self.short(wide)).relu()
        return joined


def traced(module: nn.Module, size: int) -> tuple[fx.GraphModule, Callable[[Tensor], Tensor]]:
    """The gradient of a loss before any rule, and by autograd."""
    module.requires_grad_(False)

    def loss(image: Tensor) -> Tensor:
        features = module(image)
        weighted: Tensor = features * torch.linspace(-1, 1, features.numel()).reshape(features.shape)
        return weighted.sum()

    def autograd(image: Tensor) -> Tensor:
        image = image.clone().requires_grad_()
        gradient: Tensor = torch.autograd.grad(loss(image), image)[0]
        return gradient

    graph_module = make_fx(torch.func.grad(loss))(torch.zeros(1, 3, size, size))
    for node in graph_module.graph.find_nodes(op="call_function", target=torch.ops.aten.detach.default):
        node.replace_all_uses_with(node.args[0])
    return graph_module, autograd


def targets(graph_module: fx.GraphModule) -> list[Any]:
    return [node.target for node in graph_module.graph.nodes if node.op == "call_function"]


def check(graph_module: fx.GraphModule, autograd: Callable[[Tensor], Tensor], size: int) -> ir.Model:
    """Compare a rewritten gradient with autograd's, by PyTorch and onnxruntime, on noise and on one with flat parts."""
    model = to_onnx(graph_module, {"image": torch.zeros(1, 3, size, size)}, ["gradient"])
    session = ort.InferenceSession(ir.serde.serialize_model(model).SerializeToString())
    for seed in range(2):
        image = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(seed))
        if seed:
            image[..., size // 2 :, :] = image[..., size // 2, :][..., None, :]
            image[..., : size // 3] = image[..., :1]
        want = autograd(image)
        assert want.abs().max() > 0.01
        torch.testing.assert_close(graph_module(image), want, atol=1e-5, rtol=1e-4)
        np.testing.assert_allclose(session.run(None, {"image": image.numpy()})[0], want, atol=1e-5, rtol=1e-3)
    return model


def rewritten(graph_module: fx.GraphModule, rule: Callable[[fx.Graph], None]) -> fx.GraphModule:
    rule(graph_module.graph)
    graph_module.graph.eliminate_dead_code()
    graph_module.recompile()
    return graph_module


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 2, 1), (2, 2, 0), (3, 1, 1), (5, 2, 2)])
def test_maxima_are_found_by_comparing(kernel: int, stride: int, padding: int) -> None:
    torch.manual_seed(0)
    before, autograd = traced(Pooled(kernel, stride, padding), 24)
    after = rewritten(before, mask_before_unpooling)
    assert MAX_POOL_GRADIENT in targets(after)
    model = check(after, autograd, 24)
    (pooling,) = [node for node in model.graph if node.op_type == "MaxPool"]
    assert len([output for output in pooling.outputs if output.name]) == 1
    assert not [node for node in model.graph if node.op_type == "ScatterElements"]


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 2, 0), (2, 2, 0)])
def test_windows_that_do_not_tile_keep_their_indices(kernel: int, stride: int, padding: int) -> None:
    torch.manual_seed(0)
    before, autograd = traced(Pooled(kernel, stride, padding), 23)
    after = rewritten(before, mask_before_unpooling)
    assert MAX_POOL_GRADIENT not in targets(after)
    check(after, autograd, 23)


def test_a_maximum_of_negative_values_keeps_its_index() -> None:
    """Without a ReLU there is nothing to mask, and zeros beyond the border would be maxima."""
    torch.manual_seed(0)
    pooled = Pooled(3, 2, 1)
    pooled.layers = nn.Sequential(pooled.layers[0], pooled.layers[2])
    before, autograd = traced(pooled, 24)
    after = rewritten(before, mask_before_unpooling)
    assert MAX_POOL_GRADIENT not in targets(after)
    check(after, autograd, 24)


@pytest.mark.parametrize(
    ("kernel", "other", "stride", "size"), [(3, 1, 2, 24), (3, 1, 2, 23), (5, 3, 2, 24), (1, 1, 2, 23), (5, 1, 3, 23)]
)
def test_strided_gradients_are_added_before_their_pixels_are_put_together(
    kernel: int, other: int, stride: int, size: int
) -> None:
    torch.manual_seed(0)
    before, autograd = traced(Downsampled(kernel, other, stride), size)
    after = rewritten(before, join_strided)
    assert targets(after).count(STRIDED_GRADIENT) == 1
    model = check(after, autograd, size)
    assert not [node for node in model.graph if node.op_type == "ConvTranspose"]
    assert len([node for node in model.graph if node.op_type == "DepthToSpace"]) == 1


@pytest.mark.parametrize(("kernel", "padding", "size"), [(3, 1, 24), (3, 1, 23), (4, 1, 24), (5, 2, 24)])
def test_the_gradient_of_a_convolution_of_single_channels_is_made_of_such(kernel: int, padding: int, size: int) -> None:
    torch.manual_seed(0)
    wide, deep = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, kernel, 2, padding, groups=16)
    before, autograd = traced(nn.Sequential(wide, nn.ReLU(), deep), size)
    after = rewritten(before, join_strided)
    assert targets(after).count(STRIDED_GRADIENT) == 1
    model = check(after, autograd, size)
    assert not [node for node in model.graph if node.op_type == "ConvTranspose"]


def test_prelu_of_a_map_and_of_a_vector() -> None:
    """Its slopes differ by channel, on both sides of 0 and 1."""
    torch.manual_seed(0)
    slopes, last = nn.PReLU(16), nn.PReLU(1)
    slopes.weight.data = torch.linspace(-0.5, 1.5, 16)
    module = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), slopes, nn.Flatten(), nn.Linear(16 * 144, 8), last)
    before, autograd = traced(module, 12)
    model = check(before, autograd, 12)
    assert len([node for node in model.graph if node.op_type == "PRelu"]) == 1


@pytest.mark.parametrize(("kernel", "padding", "spread"), [(7, 3, 4), (4, 1, 1)])
def test_pixels_are_not_put_together_only_to_be_spread(kernel: int, padding: int, spread: int) -> None:
    """A ResNet's first layers; one where the places reach beyond the padding stays as it is."""
    torch.manual_seed(0)
    pooled = Pooled(3, 2, 1)
    pooled.layers[0] = nn.Conv2d(3, 16, kernel, 2, padding)
    before, autograd = traced(pooled, 24)
    model = check(rewritten(before, mask_before_unpooling), autograd, 24)
    count = {
        name: len([node for node in model.graph if node.op_type == name]) for name in ("ConvTranspose", "DepthToSpace")
    }
    assert count["ConvTranspose"] == spread
    assert count["DepthToSpace"] == (spread == 1)


def test_few_channels_stay_one_matrix_product() -> None:
    """The gradient of the image itself."""
    torch.manual_seed(0)
    module = nn.Conv2d(3, 16, 7, 2, 3)
    before, autograd = traced(module, 24)
    after = rewritten(before, join_strided)
    assert STRIDED_GRADIENT not in targets(after)
    check(after, autograd, 24)


def test_a_stride_beyond_the_kernel_is_left_alone() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 8, 3, 4, 1))
    before, autograd = traced(module, 24)
    check(rewritten(before, join_strided), autograd, 24)


def test_a_traced_gradient_has_been_rewritten() -> None:
    torch.manual_seed(0)
    block, pooled = Downsampled(3, 1).requires_grad_(False), nn.MaxPool2d(2)

    def loss(image: Tensor, target: Tensor) -> tuple[Tensor, tuple[Tensor]]:
        features = pooled(block(image))
        return (features - target).square().sum(), (features,)

    found = targets(trace_gradient(loss, [torch.zeros(1, 3, 24, 24), torch.tensor(0.5)]))
    assert {MAX_POOL_GRADIENT, STRIDED_GRADIENT} <= set(found)
    assert torch.ops.aten.max_pool2d_with_indices_backward.default not in found


def test_what_is_positive() -> None:
    class Positive(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            mask: Tensor = torch.ops.aten.threshold_backward(torch.ones_like(image), image, 0)
            return mask

    values = np.array([-1e30, -1.0, -1e-20, 0, 1e-25, 1e-20, 1.0, 1e30], np.float32)
    for shape in ((1, 2, 2, 2), (2, 4)):
        model = to_onnx(Positive(), {"image": torch.zeros(shape)}, ["mask"])
        session = ort.InferenceSession(ir.serde.serialize_model(model).SerializeToString())
        (got,) = session.run(None, {"image": values.reshape(shape)})
        assert np.array_equal(got.flatten(), values > 0)

"""The random start is the same in PyTorch and in the graphs, and is noise."""

import numpy as np
import onnx_ir as ir
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from face_encryption.export.attack.noise import random_start
from face_encryption.export.graph.build import EXAMPLE_SIDE, to_onnx
from face_encryption.runtime.onnx_runtime import ort


class Noise(nn.Module):
    def forward(self, face: Tensor, seed: Tensor) -> Tensor:
        noise: Tensor = random_start(seed, face.shape[0])
        return noise


@pytest.fixture(scope="module")
def graph() -> ort.InferenceSession:
    inputs = {"face": torch.zeros(EXAMPLE_SIDE, EXAMPLE_SIDE, 3, dtype=torch.uint8), "seed": torch.tensor(0)}
    return ort.InferenceSession(ir.serde.serialize_model(to_onnx(Noise(), inputs, ["noise"])).SerializeToString())


@settings(deadline=None, max_examples=50)
@given(side=st.integers(2, 120), seed=st.integers(-(2**63), 2**63 - 1))
def test_same_in_both_engines(graph: ort.InferenceSession, side: int, seed: int) -> None:
    got = graph.run(None, {"face": np.zeros((side, side, 3), np.uint8), "seed": np.array(seed)})[0]
    assert np.array_equal(got, random_start(torch.tensor(seed), side).numpy())


def test_looks_uniform() -> None:
    noise = random_start(torch.tensor(5), 300).numpy()
    assert noise.min() >= -1
    assert noise.max() < 1
    assert abs(noise.mean()) < 0.01
    assert noise.std() == pytest.approx(3**-0.5, abs=0.01)
    for axis in range(3):
        along = np.moveaxis(noise, axis, 0)
        assert abs(np.corrcoef(along[1:].ravel(), along[:-1].ravel())[0, 1]) < 0.01


def test_neighbouring_seeds_differ() -> None:
    first, second = (random_start(torch.tensor(seed), 100).numpy().ravel() for seed in (1, 2))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.02

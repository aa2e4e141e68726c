"""The random start: noise from a seed, the same numbers in PyTorch and in every runtime of the exported graphs.

ONNX's own `RandomUniform` is neither portable nor repeatable, so the noise is an integer hash of each pixel's number:
rounds of xor-shift and multiply on 32 bits, the upper 24 of which become a fraction.
"""

from typing import Any

import torch
from onnx import TensorProto
from onnxscript import opset18 as op
from torch import Tensor

MASK = 0xFFFFFFFF
SEED_MULTIPLIER = 0x9E3779B1
ROUNDS = ((16, 0x7FEB352D), (15, 0x45D9F3B), (16, 0x2C1B3C6D))


@torch.library.custom_op("face_encryption::random_start", mutates_args=())
def random_start(seed: Tensor, side: int) -> Tensor:
    """Noise f32 [side, side, 3], uniform in [-1, 1), from `seed`, an i64 scalar of which 32 bits count.

    PyTorch has little arithmetic in uint32, so this reference uses int64 and cuts each result to 32 bits.
    """
    bits = (torch.arange(side * side * 3) + (seed & MASK) * SEED_MULTIPLIER) & MASK
    for shift, multiplier in ROUNDS:
        bits = ((bits ^ (bits >> shift)) * multiplier) & MASK
    bits = bits ^ (bits >> 16)
    return ((bits >> 8).float() * 2.0**-23 - 1).reshape(side, side, 3)


@random_start.register_fake
def _(seed: Tensor, side: int) -> Tensor:
    return torch.empty(side, side, 3)


def translate_random_start(seed: Any, side: Any) -> Any:
    """Write the same hash in ONNX, in uint32, which wraps by itself."""

    def constant(value: int) -> Any:
        return op.Cast(op.Constant(value_int=value), to=TensorProto.UINT32)

    def mix(bits: Any, shift: int) -> Any:
        return op.BitwiseXor(bits, op.BitShift(bits, constant(shift), direction="RIGHT"))

    if isinstance(side, int):  # all shapes are known then
        shape, count = op.Constant(value_ints=[side, side, 3]), op.Constant(value_int=side * side * 3)
    else:
        shape = op.Concat(*[op.Reshape(side, op.Constant(value_ints=[1]))] * 2, op.Constant(value_ints=[3]), axis=0)
        count = op.ReduceProd(shape, keepdims=0)
    number = op.Range(op.Constant(value_int=0), count, op.Constant(value_int=1))
    seed = op.Cast(op.BitwiseAnd(seed, op.Constant(value_int=MASK)), to=TensorProto.UINT32)
    bits = op.Add(op.Cast(number, to=TensorProto.UINT32), op.Mul(seed, constant(SEED_MULTIPLIER)))
    for shift, multiplier in ROUNDS:
        bits = op.Mul(mix(bits, shift), constant(multiplier))
    fraction = op.Cast(op.BitShift(mix(bits, 16), constant(8), direction="RIGHT"), to=TensorProto.FLOAT)
    noise = op.Sub(op.Mul(fraction, op.Constant(value_float=2.0**-23)), op.Constant(value_float=1.0))
    return op.Reshape(noise, shape)

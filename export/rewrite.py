"""Rewriting rules for traced gradients: the same gradient, in ops that runtimes compute without detours.

Runtimes are made for forward passes. What only a backward pass holds (where a maximum was, transposed convolutions of
stride 2) has slow kernels, or on one thread only, and each stands outside the blocked layout in which onnxruntime
computes convolutions, so that every map is brought out of that layout and back. Each rule here replaces one such thing
by an op of this project's, whose translation to ONNX consists of convolutions and what goes with them.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx

from face_encryption.export.pooling import mask_before_unpooling, translate_max_pool_gradient
from face_encryption.export.strided import join_strided, translate_strided_gradient

Rule = Callable[[fx.Graph], None]
RULES: tuple[Rule, ...] = (mask_before_unpooling, join_strided)
TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.face_encryption.max_pool_gradient.default: translate_max_pool_gradient,
    torch.ops.face_encryption.strided_gradient.default: translate_strided_gradient,
}


def rewrite(traced: fx.GraphModule, rules: Sequence[Rule]) -> None:
    """Apply rules to a traced gradient, in place."""
    for rule in rules:
        rule(traced.graph)
    traced.graph.eliminate_dead_code()
    traced.recompile()

"""Weights of integer gradients, rounded when they are exported rather than when a runtime loads them."""

import onnx_ir as ir
from onnx_ir.passes import Sequential, common
from onnxscript.optimizer import fold_constants

from ..graph.weights import SMALLEST
from .shared_weights import LINEAR

# Any tensor is smaller, in bytes: all that follows from weights alone is computed.
LARGE = 2**30


def round_weights(model: ir.Model) -> ir.Model:
    """Compute what follows from weights alone, now rather than when a runtime loads it; changes the model in place."""
    limits = {"input_size_limit": LARGE, "output_size_limit": LARGE}
    fold_constants(model, onnx_shape_inference=False, should_fold=_should_fold, **limits)
    passes = common.LiftConstantsToInitializersPass(size_limit=SMALLEST), common.DeduplicateInitializersPass(LARGE)
    return Sequential(*passes)(model).model


def _should_fold(node: ir.Node) -> bool | None:
    """Say no to what would only be stored twice, yes to rounding, which the pass would leave to the runtime."""
    if node.op_type in ("Transpose", "Slice"):
        turned = node.inputs[0]
        users = {use.node.op_type for use in node.outputs[0].uses()}
        if (turned and turned.dtype == ir.DataType.INT8) or users <= set(LINEAR):
            return False
    if node.op_type == "Expand":
        return False
    return node.op_type == "QuantizeLinear" or None

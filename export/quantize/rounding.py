"""Weights of integer gradients, rounded when they are exported rather than when a runtime loads them."""

import onnx_ir as ir
from onnx_ir.passes import common
from onnxscript.optimizer import fold_constants

# Any tensor is smaller, in bytes: all that follows from weights alone is computed.
LARGE = 2**30
# And these are numbers a channel, not weights.
SMALL = 2**12


def round_weights(model: ir.Model) -> ir.Model:
    """Round the weights of an integer gradient now rather than when a runtime loads it; changes the model in place."""

    def should_fold(node: ir.Node) -> bool | None:
        return node.op_type == "QuantizeLinear" or None  # which the pass would leave to the runtime

    limits = {"input_size_limit": LARGE, "output_size_limit": LARGE}
    fold_constants(model, onnx_shape_inference=False, should_fold=should_fold, **limits)
    return model


def round_scales(model: ir.Model) -> ir.Model:
    """Compute the scales of weights, and whatever else is small and follows from weights alone, now; as above."""
    folded = round_weights(ir.serde.deserialize_model(ir.serde.serialize_model(model)))
    known = folded.graph.initializers
    for node in list(model.graph):
        for value in node.outputs:
            constant = known[value.name].const_value if value.name and value.name in known else None
            if constant is not None and constant.size <= SMALL:
                scale = ir.Value(name=f"{value.name}.known", shape=value.shape, type=value.type, const_value=constant)
                model.graph.register_initializer(scale)
                value.replace_all_uses_with(scale)
    return common.RemoveUnusedNodesPass()(model).model

"""`CastLike` as `Cast`: onnxruntime has no kernel of CastLike, so it warns whenever it loads one that it could fold."""

import onnx_ir as ir


def concrete_casts(model: ir.Model) -> None:
    """Replace each CastLike of a model, in place, by a Cast to the type of its second input.

    Raises:
        ValueError: that type is unknown.
    """
    for node in model.graph.all_nodes():
        if node.op_type == "CastLike" and node.domain == "":
            like = node.inputs[1]
            if like is None or like.dtype is None:
                raise ValueError(f"{node.name}: what it casts like has no known type")
            node.op_type = "Cast"
            node.attributes.add(ir.AttrInt64("to", like.dtype))
            node.resize_inputs(1)

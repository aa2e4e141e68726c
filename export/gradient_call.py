"""The gradient as one opaque op: exported once, then put into the step of each attack.

An attack is exported with a placeholder where the gradient is, and the placeholder is replaced in the finished ONNX
graph: so gradients are rewritten, put together and turned into integers on their own.
"""

from typing import Any

import onnx
import onnx_ir as ir
import onnxscript
import torch
from torch import Tensor

from face_encryption.export.copies import Values, copy_nodes

DOMAIN, NAME = "face_encryption", "Gradient"


@torch.library.custom_op("face_encryption::gradient", mutates_args=())
def gradient_call(image: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Stand for the gradient that `Attack` takes while an attack is exported; it cannot be computed."""
    raise NotImplementedError("the gradient's placeholder is for export; compute with the traced gradient")


@gradient_call.register_fake
def _(image: Tensor, *_: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty_like(image), image.new_empty(())


@torch.library.custom_op("face_encryption::embedding_gradient", mutates_args=())
def embedding_gradient_call(image: Tensor, target: Tensor, which: int) -> tuple[Tensor, Tensor, Tensor]:
    """Stand for the gradient of one of several recognizers, which `Cloak` takes, as above."""
    raise NotImplementedError("the gradient's placeholder is for export; compute with the traced gradient")


@embedding_gradient_call.register_fake
def _(image: Tensor, target: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(image), image.new_empty(()), torch.empty_like(target)


def _parameter(name: str, kind: str) -> Any:
    return onnx.defs.OpSchema.FormalParameter(name, kind)


_SCHEMA = onnx.defs.OpSchema(
    NAME,
    DOMAIN,
    1,
    inputs=[_parameter("image", "tensor(float)"), _parameter("target", "T")],
    outputs=[_parameter(name, "tensor(float)") for name in ("gradient", "loss", "embedding")],
    type_constraints=[("T", ["tensor(int64)", "tensor(float)"], "a label or an embedding")],
    attributes=[onnx.defs.OpSchema.Attribute("which", onnx.defs.OpSchema.AttrType.INT, "of the gradients")],
)
_OP = onnxscript.values.Op(onnxscript.values.Opset(DOMAIN, 1), NAME, _SCHEMA)


def translate_gradient_call(image: Any, target: Any) -> Any:
    """Translate the placeholder to an ONNX node of this project's domain."""
    return _OP(image, target, which=0)[:2]


def translate_embedding_gradient_call(image: Any, target: Any, which: int) -> Any:
    """Translate the placeholder of one of several recognizers."""
    return _OP(image, target, which=which)


def insert_gradients(model: ir.Model, *gradients: ir.Model) -> None:
    """Replace every placeholder in `model`, in place, by a copy of the nodes of the exported gradient that it names.

    All copies use the same initialisers.
    """
    weights: Values = {}
    for number, gradient in enumerate(gradients):
        for value in gradient.graph.initializers.values():
            name = f"gradient.{number}.{value.name}"
            copy = ir.Value(name=name, shape=value.shape, type=value.type, const_value=value.const_value)
            model.graph.register_initializer(copy)
            weights[value] = copy
    for node in list(model.graph):
        if (node.domain, node.op_type) != (DOMAIN, NAME):
            continue
        gradient = gradients[node.attributes["which"].as_int()]
        values: Values = {**weights, **dict(zip(gradient.graph.inputs, node.inputs, strict=True)), None: None}
        model.graph.insert_before(node, list(copy_nodes(gradient.graph, values)))
        results = [values[value] for value in gradient.graph.outputs]
        for result, output in zip(results, node.outputs, strict=True):
            result.name = output.name
        ir.convenience.replace_all_uses_with(node.outputs, results, replace_graph_outputs=True)
        model.graph.remove(node, safe=True)
    model.graph.opset_imports.pop(DOMAIN, None)

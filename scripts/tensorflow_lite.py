"""TensorFlow Lite files to ONNX, by tf2onnx; what they compute stays the same in every bit.

It needs TensorFlow, which nothing else here does: pip install tf2onnx==1.17.0 tensorflow-cpu==2.21.0
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 18
# Smaller tensors stay float32.
FEW = 256


def read_lite(content: bytes, **options: Any) -> onnx.ModelProto:
    """Return the network of a .tflite file; `options` are tf2onnx's, as for inputs and outputs other than its."""
    import tf2onnx

    with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
        file.write(content)
        file.flush()
        model: onnx.ModelProto
        model, _ = tf2onnx.convert.from_tflite(file.name, opset=OPSET, **options)
    model.graph.ClearField("doc_string")  # the name of the temporary file
    # Operator sets that no node is of.
    for opset in [each for each in model.opset_import if each.domain]:
        model.opset_import.remove(opset)
    rename(model.graph)
    return model


def rename(graph: onnx.GraphProto) -> None:
    """Number everything between a graph's inputs and outputs: tf2onnx's names and order differ from run to run."""
    ends = [value.name for value in (*graph.input, *graph.output)]
    names = {name: name for name in ("", *ends)}
    for node in graph.node:
        for name in (*node.input, *node.output):
            names.setdefault(name, str(len(names)))
        node.input[:], node.output[:] = ([names[name] for name in each] for each in (node.input, node.output))
        node.name = node.output[0]
    weights = sorted(graph.initializer, key=lambda tensor: int(names[tensor.name]))
    for tensor in weights:
        tensor.name = names[tensor.name]
    del graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(weights)


def store_as_fp16(model: onnx.ModelProto) -> None:
    """Round the weights of a model to fp16; nodes make float32 of them again, and all else computes as before."""
    graph, casts = model.graph, []
    for tensor in list(graph.initializer):
        weights = numpy_helper.to_array(tensor)
        if weights.dtype == np.float32 and weights.ndim > 1 and weights.size >= FEW:
            graph.initializer.remove(tensor)
            graph.initializer.append(numpy_helper.from_array(weights.astype(np.float16), f"{tensor.name}.half"))
            casts.append(helper.make_node("Cast", [f"{tensor.name}.half"], [tensor.name], to=TensorProto.FLOAT))
    nodes = [*graph.node]
    del graph.node[:]
    graph.node.extend([*casts, *nodes])


def save(model: onnx.ModelProto, path: Path) -> None:
    """Check a model and write it."""
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)

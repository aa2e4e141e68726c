"""Export: a checkpoint in, validated ONNX artifacts out (PyTorch, onnx)."""

# Of all graphs; `docs/artifacts.md` describes it.
FORMAT_VERSION = "6"

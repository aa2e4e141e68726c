"""Export: a checkpoint in, validated ONNX artifacts out (PyTorch, onnx)."""

"""A recognizer's gradient as a graph: traced, rewritten rule by rule, translated to ONNX."""

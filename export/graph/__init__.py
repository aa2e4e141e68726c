"""Graphs put together: modules to ONNX, steps repeated or written out, weights shared."""

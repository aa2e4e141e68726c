"""The attacks in plain PyTorch, one idea a file: the reference for their graphs."""

"""Training: people's photos in, a face recogniser checkpoint out (PyTorch)."""

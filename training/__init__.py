"""Training: people's photos in, a face recognizer checkpoint out (PyTorch)."""

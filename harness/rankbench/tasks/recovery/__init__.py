"""Task `recovery`: recover a weight matrix from noisy samples of its map."""

"""Task `recovery`: learn a weight from noisy samples of its map."""

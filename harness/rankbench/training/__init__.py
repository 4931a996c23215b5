"""The training loop, one step, checkpoints, early stopping, prefetching."""

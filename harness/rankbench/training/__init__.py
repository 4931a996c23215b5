"""Train models: the loop, one step, checkpoints, early stopping and loading of batches."""

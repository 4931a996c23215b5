"""Executing a study: trial queue, workers, supervised child processes, clusters."""

"""Measure whether the papers' complexities of time and memory hold: `rankbench validate`."""

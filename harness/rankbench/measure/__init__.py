"""Measure time and memory of a call, and describe the machine."""

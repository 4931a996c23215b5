"""Faults on purpose: what is killed, torn, filled up or set wrong while a study runs."""

"""Subcommands of `rankbench data`, one file each."""

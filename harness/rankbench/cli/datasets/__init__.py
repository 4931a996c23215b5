"""The subcommands of `rankbench data`, one file each."""

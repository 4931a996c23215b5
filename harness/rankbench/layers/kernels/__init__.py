"""What executes a contraction: torch, or C compiled for this machine."""

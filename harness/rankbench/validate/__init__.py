"""Do the orders of time and memory that the papers claim hold? `rankbench validate`."""

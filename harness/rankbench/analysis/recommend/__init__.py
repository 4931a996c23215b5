"""Which layers to choose for a map, by evidence and cost."""

"""Compare our layers with every installed peer on the same shapes: `rankbench bench`."""

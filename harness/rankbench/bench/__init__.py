"""Our layers and every installed peer, interleaved, on the same shapes: `rankbench bench`."""

"""Which contraction and kernel to choose: a cost model, or a measurement."""

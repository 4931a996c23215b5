"""Contract a layer's cores with its input: stages, named orders, paths and einsum plans."""

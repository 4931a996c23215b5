"""What a contraction of cores with an input is: stages, orders, paths, einsum steps."""

"""A study file as a checked object: points, search space, limits, estimate."""

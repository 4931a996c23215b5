"""Compute intervals, paired comparisons, power-law exponents and Pareto fronts."""

"""Statistics: intervals, paired contrasts, exponents, the Pareto front."""

"""Find damage in stored results, and repair it: `rankbench doctor`."""

"""Run the workers of a study on a cluster."""

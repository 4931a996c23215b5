"""Recommend layers for a linear map, by what was measured and what they cost."""

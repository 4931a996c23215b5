"""Rows of results summarised as frames."""

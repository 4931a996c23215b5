"""Summarise rows of results as data frames, for tables and figures."""

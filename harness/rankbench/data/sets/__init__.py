"""Stored data sets: file format, catalogue, reading and writing."""

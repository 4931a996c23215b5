"""Stored data sets: files, catalogue, reading and writing."""

"""Data sets: read, decoded, cached and split; nothing here knows tasks or layers."""

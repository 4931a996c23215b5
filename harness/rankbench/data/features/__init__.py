"""Features of frames and images, computed by a CNN or read from a file."""

"""Features of frames and images, made by a CNN or read from a file."""

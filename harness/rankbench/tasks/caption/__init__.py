"""Task `caption`: describe images in sentences."""

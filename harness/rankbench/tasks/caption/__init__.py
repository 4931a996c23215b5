"""Task `caption`: describe images in words."""

"""Read, decode, cache and split data sets. Nothing here depends on tasks or layers."""

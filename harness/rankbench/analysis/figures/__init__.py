"""Draw the figures of a study, one kind per file; `catalog` lists them."""

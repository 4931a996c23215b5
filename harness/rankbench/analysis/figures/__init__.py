"""Figures, one file a kind; `catalog` lists them."""

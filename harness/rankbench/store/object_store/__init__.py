"""Store results on an object store, which has neither locks nor atomic renames."""

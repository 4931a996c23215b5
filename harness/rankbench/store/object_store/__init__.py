"""Results on an object store, which has neither locks nor renames."""

"""Judge the claims of the papers by the results that are present."""

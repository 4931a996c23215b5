"""Tasks `action`, `features` and `motion`: name the class of a clip."""

"""Find, decode, resize and cache videos and frames."""

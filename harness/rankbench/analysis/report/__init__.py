"""Studies and claims as one HTML page."""

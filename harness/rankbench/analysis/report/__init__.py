"""Write studies and claims as one self-contained HTML page."""

"""Execute a contraction: with torch, or with C compiled for this machine."""

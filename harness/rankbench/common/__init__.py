"""Small helpers that every other folder may import: checks, text, cache folder, exit codes."""

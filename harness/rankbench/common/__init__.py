"""What every part may use: checks of settings, text, the cache folder, exit codes."""

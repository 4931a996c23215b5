"""The command line, one file per command, and what a person sees while it runs."""

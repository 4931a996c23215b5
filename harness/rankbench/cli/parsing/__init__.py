"""Command-line parsing: the parser, its help, and options that commands share."""

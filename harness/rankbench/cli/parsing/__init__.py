"""How a command line is read: the parser, its help, and options that commands share."""

"""`python -m rankbench`: the command line."""

import sys

from rankbench.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

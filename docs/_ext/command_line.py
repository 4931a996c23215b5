"""The parser of `rankbench`, for the page on the command line and for the test of examples."""

from __future__ import annotations

import argparse

from rankbench.cli import main


def parser() -> argparse.ArgumentParser:
    """Build the parser as `rankbench` does."""
    build = getattr(main, "build_parser", None) or main._parser
    made: argparse.ArgumentParser = build()
    return made

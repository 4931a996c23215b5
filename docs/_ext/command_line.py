"""The parser of `rankbench`, for the page on the command line."""

from __future__ import annotations

import argparse

from rankbench.cli import main


def parser() -> argparse.ArgumentParser:
    """Build the parser as `rankbench` does; texts of several lines keep their lines."""
    build = getattr(main, "build_parser", None) or main._parser
    made: argparse.ArgumentParser = build()
    _keep_lines(made)
    return made


def _keep_lines(command: argparse.ArgumentParser) -> None:
    # sphinx-argparse-cli keeps the lines of a text only where it meets this formatter.
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                _keep_lines(below)

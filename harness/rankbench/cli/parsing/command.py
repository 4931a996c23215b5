"""The definition of a command of `rankbench`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rankbench.cli.parsing.parser import CommandParser


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command: its name, its help, its options, and the function that runs it."""

    name: str
    """Name on the command line."""
    help: str
    """One sentence for `rankbench --help`."""
    details: str = ""
    """Further paragraphs of the help page, in lines of at most 79 characters."""
    examples: Sequence[str] = ()
    """Example command lines, each with a comment where it needs one."""
    add_options: Callable[[CommandParser], None]
    """Adds options and positional arguments to the command's parser."""
    execute: Callable[[argparse.Namespace], int] | None = None
    """Runs the command and returns the exit code; None if subcommands do that."""

    def add_to(self, commands: Any) -> None:
        """Add the command to the object that `ArgumentParser.add_subparsers` returned."""
        parser: CommandParser = commands.add_parser(
            self.name,
            help=self.help,
            description=f"{self.help}\n\n{self.details}".strip(),
            epilog="\n".join(["Examples:", *(f"  {line}" for line in self.examples)]),
        )
        self.add_options(parser)
        if self.execute is not None:
            parser.set_defaults(command=self.execute, parser=parser)

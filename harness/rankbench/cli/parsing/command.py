"""What a command of `rankbench` consists of."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rankbench.cli.parsing.parser import CommandParser


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command: its name, its help page, its options, and the function that carries it out."""

    name: str
    """As it is typed."""
    help: str
    """One sentence, which `rankbench --help` shows."""
    details: str = ""
    """Further paragraphs of the command's own help page, in lines of at most 79 characters."""
    examples: Sequence[str] = ()
    """Command lines to copy, each with a comment if it needs one."""
    add_options: Callable[[CommandParser], None]
    """Adds options and positional arguments to the parser of the command."""
    execute: Callable[[argparse.Namespace], int] | None = None
    """Carries the command out and returns the exit code; None where subcommands do."""

    def add_to(self, commands: Any) -> None:
        """Add the command to what `ArgumentParser.add_subparsers` returned."""
        parser: CommandParser = commands.add_parser(
            self.name,
            help=self.help,
            description=f"{self.help}\n\n{self.details}".strip(),
            epilog="\n".join(["Examples:", *(f"  {line}" for line in self.examples)]),
        )
        self.add_options(parser)
        if self.execute is not None:
            parser.set_defaults(command=self.execute, parser=parser)

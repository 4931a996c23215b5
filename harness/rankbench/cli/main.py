"""Command-line interface: parsing and dispatch."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from rankbench.cli import (
    bench,
    claims,
    completion,
    data,
    doctor,
    export,
    figures,
    plan,
    plans,
    query,
    recommend,
    report,
    run,
    status,
    tables,
    validate,
    work,
)
from rankbench.cli.parsing.command import Command
from rankbench.cli.parsing.parser import CommandParser, MainParser, parse
from rankbench.common.address import redact_password
from rankbench.common.exit_codes import FAILED, USAGE
from rankbench.common.text import plain
from rankbench.common.version import VERSION

GROUPS: dict[str, tuple[Command, ...]] = {
    "Study": (run.COMMAND, work.COMMAND, plan.COMMAND, status.COMMAND),
    "Results": (*(query.COMMAND, figures.COMMAND, tables.COMMAND, report.COMMAND, export.COMMAND),),
    "Layers": (recommend.COMMAND, bench.COMMAND, plans.COMMAND),
    "Data": (data.COMMAND,),
    "Check": (claims.COMMAND, validate.COMMAND, doctor.COMMAND),
    "Shell": (completion.COMMAND,),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line and run the command.

    Args:
        argv: Command-line arguments without the program's name; None uses those of the process.

    Returns:
        The exit code: 0 for success, 1 if something failed, 2 for wrong usage.
    """
    parser = build_parser()
    if "_ARGCOMPLETE" in os.environ:  # A shell requests completions.
        import argcomplete

        argcomplete.autocomplete(parser)
    arguments = parse(parser, argv)
    try:
        return int(arguments.command(arguments))
    except ValueError as error:
        print(f"rankbench: error: {plain(redact_password(str(error)))}", file=sys.stderr)
        return USAGE
    except OSError as error:
        print(f"rankbench: error: {plain(redact_password(str(error)))}", file=sys.stderr)
        return FAILED


def build_parser() -> CommandParser:
    """Build the parser of all commands; the documentation is generated from it, too."""
    groups = {
        title: {command.name: command.help for command in commands}
        for title, commands in GROUPS.items()
    }
    parser = MainParser(
        groups,
        prog="rankbench",
        usage="rankbench COMMAND [OPTIONS]",
        description="Benchmarks and studies of tensor-compressed recurrent networks.",
        epilog="`rankbench COMMAND --help` describes a command, with examples.",
    )
    parser.add_argument("--version", action="version", version=f"rankbench {VERSION}")
    commands = parser.add_subparsers(
        required=True, metavar="COMMAND", parser_class=CommandParser, prog="rankbench"
    )
    for group in GROUPS.values():
        for command in group:
            command.add_to(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())

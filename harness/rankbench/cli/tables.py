"""`rankbench tables`: compare the results of a study with published numbers."""

from __future__ import annotations

import argparse
from pathlib import Path

from rankbench.cli.parsing.command import Command
from rankbench.cli.parsing.options import add_results, add_study_name
from rankbench.cli.parsing.parser import CommandParser
from rankbench.common.exit_codes import DONE
from rankbench.common.terminal import Screen


def tables(arguments: argparse.Namespace) -> int:
    """Print the tables of a study, or write them to a file."""
    from rankbench.analysis.tables.writers import show, tables_of, write

    found = tables_of(arguments.study, arguments.only, root=arguments.results)
    if arguments.out is None:
        show(found, Screen())
    else:
        write(found, arguments.out)
        print(arguments.out)
    return DONE


def _add_options(command: CommandParser) -> None:
    add_study_name(command, "study", help="a study with results")
    command.add_argument(
        "--only", metavar="TABLE", help="one table by its name, as accuracy (default: all)"
    )
    command.add_argument(
        "--out", type=Path, metavar="FILE", help="file to write, .md, or .csv for one table"
    )
    add_results(command)


COMMAND = Command(
    name="tables",
    help="Print a study's tables beside the published numbers.",
    examples=(
        "rankbench tables ucf11 --results results/reference",
        "rankbench tables ucf11 --only accuracy --out accuracy.csv",
    ),
    add_options=_add_options,
    execute=tables,
)

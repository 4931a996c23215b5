"""`rankbench claims`: check the papers' claims against the stored results."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rankbench.cli.parsing.command import Command
from rankbench.cli.parsing.options import REFERENCE, add_json, add_results
from rankbench.cli.parsing.parser import CommandParser
from rankbench.common.exit_codes import DONE
from rankbench.common.terminal import Screen


def claims(arguments: argparse.Namespace) -> int:
    """Print every claim of the papers with the measured value and the verdict."""
    from rankbench.analysis.claims.evaluate import claims as judge
    from rankbench.analysis.claims.writers import draw, facts, write
    from rankbench.cli.show.json import print_json

    judged = judge(arguments.results, arguments.only)
    if arguments.json:
        print_json(facts(judged))
    else:
        write(judged, arguments.format, Screen())
    if arguments.figure is not None:
        for path in draw(judged, arguments.figure):
            print(path, file=sys.stderr)
    return DONE


def _add_options(command: CommandParser) -> None:
    command.add_argument(
        "--only", metavar="ID|PAPER", help="one claim by its id, or BT, or TR (default: all)"
    )
    form = command.add_mutually_exclusive_group()
    form.add_argument(
        "--format",
        choices=("table", "csv", "json"),
        default="table",
        help="table, or the claims as rows of CSV or JSON",
    )
    add_json(form)
    command.add_argument(
        "--figure", type=Path, metavar="FOLDER", help="draw the verdicts into this folder, too"
    )
    add_results(command, REFERENCE)


COMMAND = Command(
    name="claims",
    help="Judge every claim of the papers by the results.",
    examples=(
        "rankbench claims",
        "rankbench claims --only TR --figure figures",
        "rankbench claims --json --results results",
    ),
    add_options=_add_options,
    execute=claims,
)

"""`rankbench report`: write studies and claims to one HTML page."""

from __future__ import annotations

import argparse
from pathlib import Path

from rankbench.cli.parsing.command import Command
from rankbench.cli.parsing.options import add_results, add_study_name
from rankbench.cli.parsing.parser import CommandParser
from rankbench.common.exit_codes import DONE


def report(arguments: argparse.Namespace) -> int:
    """Write the page, and print its path and size."""
    from rankbench.analysis.report.build import report as build

    out: Path = arguments.out
    if out.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"--out must be a file that ends in .html, got {str(out)!r}")
    text = build(arguments.studies, arguments.results)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8", newline="\n")
    print(f"{out} ({len(text.encode()) / 1e6:.1f} MB, works offline)")
    return DONE


def _add_options(command: CommandParser) -> None:
    add_study_name(command, "studies", nargs="+", help="a study with results")
    command.add_argument(
        "--out", type=Path, default=Path("report.html"), metavar="FILE", help="file to write"
    )
    add_results(command)


COMMAND = Command(
    name="report",
    help="Write studies and claims as one HTML page that works offline.",
    examples=(
        "rankbench report smoke",
        "rankbench report ucf11 budget --results results/reference --out ucf11.html",
    ),
    add_options=_add_options,
    execute=report,
)

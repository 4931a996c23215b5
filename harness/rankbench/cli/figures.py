"""`rankbench figures`: draw the figures of a study."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from rankbench.cli.parsing.command import Command
from rankbench.cli.parsing.options import add_results, add_study_name
from rankbench.cli.parsing.parser import CommandParser
from rankbench.common.exit_codes import DONE, FAILED


def figures(arguments: argparse.Namespace) -> int:
    """Draw all figures of one study, or with `--all` of every study, as PNG, PDF and CSV."""
    if (arguments.study is None) != arguments.all:
        raise ValueError("figures needs either a STUDY or --all")
    if arguments.all:
        return _draw_all(arguments)
    from rankbench.analysis.figures.catalog import draw, save
    from rankbench.analysis.figures.media import shown_on
    from rankbench.store.location import study_folder

    with shown_on(arguments.style):
        drawn = draw(arguments.study, root=arguments.results)
    folder = arguments.out or study_folder(arguments.results, arguments.study) / "figures"
    for path in save(drawn, Path(folder)):
        print(path)
    return DONE


def _draw_all(arguments: argparse.Namespace) -> int:
    from rankbench.analysis.redraw import redraw

    folder, code = arguments.out or Path("figures"), DONE
    redrawn = redraw(arguments.results, folder, arguments.workers, arguments.style)
    for study, (paths, why) in redrawn:
        code = code if paths else FAILED
        print("; ".join([f"{study}: {len(paths)} files in {folder / study}", *why]), flush=True)
    return code


def _add_options(command: CommandParser) -> None:
    add_study_name(command, "study", nargs="?", help="a study with results")
    command.add_argument(
        "--all", action="store_true", help="draw every study, its tables, and the claims"
    )
    command.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="processes that draw, with --all (default: one for each core)",
    )
    command.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="folder to write to (default: figures in the study's results; with --all, figures)",
    )
    command.add_argument(
        "--style",
        default="screen",
        help="screen, paper (for one or two columns) or slide (16:9)",
    )
    add_results(command)


COMMAND = Command(
    name="figures",
    help="Draw every figure that the results of a study allow.",
    details="""\
Each figure is written as PNG, PDF and a CSV of what it shows. The paths are
printed.""",
    examples=(
        "rankbench figures smoke",
        "rankbench figures ucf11 --style paper --out figures/ucf11",
        "rankbench figures --all --results results/reference",
    ),
    add_options=_add_options,
    execute=figures,
)

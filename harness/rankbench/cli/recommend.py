"""`rankbench recommend`: suggest layers for a linear map."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rankbench.cli.parsing.command import Command
from rankbench.cli.parsing.options import REFERENCE, add_json, add_results
from rankbench.cli.parsing.parser import CommandParser
from rankbench.common.exit_codes import DONE
from rankbench.common.terminal import Screen


def recommend(arguments: argparse.Namespace) -> int:
    """Print a shortlist of layers with their measured results and their costs."""
    from rankbench.analysis.recommend.question import question_of
    from rankbench.analysis.recommend.shortlist import recommend as shortlist
    from rankbench.analysis.recommend.study_file import study_of
    from rankbench.analysis.recommend.writers import facts, write
    from rankbench.cli.show.json import print_json

    with Screen(stderr=True).status("looking for layers"):
        question, pieces = question_of(arguments)
        found = shortlist(question, pieces)
        study = study_of(found)
    if arguments.json:
        print_json(facts(found, study))
    else:
        write(found, arguments.format, Screen())
    if arguments.study is not None:
        arguments.study.write_text(study)
        print(f"study: rankbench plan {arguments.study}", file=sys.stderr)
    elif arguments.format == "table" and not arguments.json:
        print(f"\nThe study that would settle it (--study FILE.yaml writes it):\n\n{study}", end="")
    return DONE


def _add_options(command: CommandParser) -> None:
    _add_question(command)
    form = command.add_mutually_exclusive_group()
    form.add_argument(
        "--format",
        choices=("table", "csv", "json"),
        default="table",
        help="table, or the layers as rows of CSV or JSON",
    )
    add_json(form)
    command.add_argument(
        "--study", type=Path, metavar="FILE", help="write the study that would settle it here"
    )
    add_results(command, REFERENCE)


def _add_question(command: CommandParser) -> None:
    command.add_argument(
        "--in", type=int, required=True, dest="inputs", metavar="N", help="input features"
    )
    command.add_argument(
        "--out",
        type=int,
        required=True,
        dest="outputs",
        metavar="N",
        help="output features: of all gates of the cell together (4 x hidden for an LSTM)",
    )
    command.add_argument(
        "--max-params", type=int, required=True, metavar="N", help="most parameters of the map"
    )
    command.add_argument(
        "--max-step-ms",
        type=float,
        metavar="MS",
        help="most milliseconds of its forward and backward pass, as predicted (default: any)",
    )
    command.add_argument(
        "--task", help="recovery, action, ... (default: that of the nearest results)"
    )
    command.add_argument(
        "--cell", help="rnn, gru, lstm or none (default: lstm where the task has cells)"
    )
    command.add_argument("--batch", type=int, default=16, metavar="N", help="samples of a step")
    command.add_argument(
        "--time-steps",
        type=int,
        metavar="N",
        help="time steps of a sample (default: 6 with a cell, 1 without)",
    )
    command.add_argument("--top", type=int, default=10, metavar="N", help="layers to list")


COMMAND = Command(
    name="recommend",
    help="Say which layers to choose for a map of given sizes.",
    examples=(
        "rankbench recommend --in 57600 --out 1024 --max-params 5000",
        "rankbench recommend --in 4096 --out 4096 --max-params 20000 --cell none --json",
        "rankbench recommend --in 784 --out 1024 --max-params 2000 --study settle.yaml",
    ),
    add_options=_add_options,
    execute=recommend,
)

"""`rankbench bench`: compare the speed of Rankbench's layers with other installed libraries."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Sequence
from typing import Any

from rankbench.cli.parsing.command import Command
from rankbench.cli.parsing.options import add_json, add_results
from rankbench.cli.parsing.parser import CommandParser
from rankbench.common.checks import number
from rankbench.common.exit_codes import DONE, FAILED
from rankbench.common.terminal import Screen

Row = dict[str, Any]


def bench(arguments: argparse.Namespace) -> int:
    """Time the selected maps in all libraries, store the rows, and print the tables."""
    import torch

    from rankbench.bench.session import INSTALL, contenders, contests, measure
    from rankbench.cli.show.steps import StepProgress
    from rankbench.store.store import Store

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Like Ctrl-C: stop, then report.
    console = Screen(stderr=arguments.json)
    chosen = contests(
        arguments.maps, arguments.dtype, arguments.batch, arguments.threads, arguments.device
    )
    number("--budget", arguments.budget, 0.0, 86_400.0, open_low=True)
    store = Store(arguments.results, arguments.study)
    present, absent = contenders(arguments.contenders)
    for distribution, reason in absent.items():
        console.print(f"{distribution} is {reason} ({INSTALL})")
    torch.set_num_threads(arguments.threads)
    rows: list[Row] = []
    stopped = False
    with StepProgress(console, len(chosen), arguments.budget) as progress:
        try:
            steps = progress.over(chosen, lambda one: f"{one.name}, batch {one.batch}, {one.dtype}")
            for row in measure(steps, present, arguments.budget, store, progress.note):
                rows.append(row)
        except KeyboardInterrupt:
            stopped = True
    if arguments.json:
        _print_json(rows, absent, str(store.place), stopped)
    else:
        _print(console, rows)
        _conclude(console, store, stopped)
    failed = stopped or any(row["status"] != "done" for row in rows)
    return FAILED if failed else DONE


def _print_json(rows: Sequence[Row], absent: dict[str, str], place: str, stopped: bool) -> None:
    from rankbench.bench.report import facts, remarks
    from rankbench.cli.show.json import print_json

    print_json(
        {
            "results": place,
            "rows": facts(rows),
            "remarks": remarks(rows),
            "missing": absent,
            "stopped": stopped,
        }
    )


def _print(console: Screen, rows: Sequence[Row]) -> None:
    from rankbench.bench.report import LEGEND, remarks, table

    groups: dict[tuple[int, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["rows"], row["dtype"]), []).append(row)
    for group in groups.values():
        console.print(table(group))
    for remark in remarks(rows):
        console.print(remark, soft_wrap=True)
    if rows:
        console.print(LEGEND, style="dim")


def _conclude(console: Screen, store: Any, stopped: bool) -> None:
    console.print(f"results: {store.place}", soft_wrap=True)
    elsewhere = "" if str(store.root) == "results" else f" --results {store.root}"
    console.print(f"figures: rankbench figures {store.study}{elsewhere}", soft_wrap=True)
    if stopped:
        console.print(
            "stopped; what was measured is kept, the rest is measured by the same command"
        )


def _add_options(command: CommandParser) -> None:
    command.add_argument(
        "maps", nargs="*", metavar="MAP", help="input maps, as bt_r1 tt_r4 (default: all)"
    )
    command.add_argument(
        "--batch",
        nargs="+",
        type=int,
        default=[16, 64],
        metavar="N",
        help="clips of a batch, of 6 frames each",
    )
    command.add_argument(
        "--dtype",
        nargs="+",
        default=["float32", "bfloat16"],
        metavar="TYPE",
        help="float32 or bfloat16",
    )
    command.add_argument("--threads", type=int, default=1, metavar="N", help="threads torch uses")
    command.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="where to compute; auto: cuda where there is a GPU",
    )
    command.add_argument(
        "--budget",
        type=float,
        default=20.0,
        metavar="SECONDS",
        help="rough time for each combination of map, batch and dtype",
    )
    command.add_argument(
        "--contenders", nargs="+", metavar="NAME", help="who is timed (default: all installed)"
    )
    command.add_argument("--study", default="bench", metavar="NAME", help="name of the results")
    add_results(command)
    add_json(command)


COMMAND = Command(
    name="bench",
    help="Time our layers against every installed peer.",
    details="""\
Peers that compute a different map are labelled and left out of the ranking.
What is measured is stored as it comes; Ctrl-C ends the bench and keeps it.""",
    examples=(
        "rankbench bench",
        "rankbench bench bt_r1 --batch 16 --dtype float32 --budget 5",
        "rankbench bench --contenders rankbench tednet --json > bench.json",
    ),
    add_options=_add_options,
    execute=bench,
)

"""`rankbench validate`: measure the orders of time and memory that the papers give."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rankbench.cli.parsing.command import Command
from rankbench.cli.parsing.options import add_results
from rankbench.cli.parsing.parser import CommandParser
from rankbench.common.checks import number, one_of
from rankbench.common.exit_codes import DONE, FAILED
from rankbench.common.terminal import Screen

if TYPE_CHECKING:
    from rankbench.validate.measurement import SweepMeasurement

STUDY = "validate"
_COUNT_S = 0.2  # Rough time in seconds to count the FLOPs of one sweep.


def validate(arguments: argparse.Namespace) -> int:
    """Measure all sweeps, store the rows, and print measured and claimed exponents."""
    import torch

    from rankbench.analysis.tables.writers import show, tables_of
    from rankbench.cli.show.steps import StepProgress
    from rankbench.layers.kernels.target import Target
    from rankbench.store.store import Store
    from rankbench.validate.measurement import count_sweep, time_sweep
    from rankbench.validate.rows import rows
    from rankbench.validate.sweeps import METHODS, sweeps

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Like Ctrl-C: stop, then report.
    console = Screen()
    if arguments.only is not None:
        one_of("--only", arguments.only, METHODS)
    number("--budget", arguments.budget, 0.0, 3600.0, open_low=True)
    chosen = sweeps(arguments.only)
    store, target = Store(arguments.results, STUDY), Target(threads=1)
    torch.set_num_threads(target.threads)
    found: list[SweepMeasurement] = []
    stopped = False
    guess_s = arguments.budget if arguments.measure else _COUNT_S
    try:
        with StepProgress(console, len(chosen), guess_s) as progress:
            for sweep in progress.over(chosen, lambda sweep: sweep.name):
                measured = count_sweep(sweep, target)
                if arguments.measure:
                    time_sweep(measured, arguments.budget)
                for row in rows(sweep, measured, target):
                    store.write_run(row)
                found += measured
    except KeyboardInterrupt:
        stopped = True
        console.print("stopped; what was measured is kept")
    store.compact()
    show(tables_of(STUDY, root=arguments.results), console)
    console.print(f"results: {store.place}", soft_wrap=True)
    return FAILED if _report_counts(found, console) or stopped else DONE


def _report_counts(found: Sequence[SweepMeasurement], console: Screen) -> bool:
    """Print how often torch counts the planned FLOPs; return whether any count differs."""
    wrong = [one for one in found if not one.agrees]
    console.print(
        f"FLOPs, both directions: torch counts what the plan says at "
        f"{len(found) - len(wrong)} of {len(found)} points"
    )
    for one in wrong:
        layer = one.point.layer
        console.print(
            f"{layer.name} {list(layer.in_modes)} -> {list(layer.out_modes)}, ranks "
            f"{list(layer.ranks)}, {one.point.rows} rows, {one.choice.contraction.describe()}: "
            f"the plan says {one.planned[0]} and {one.planned[1]} FLOPs, torch counts "
            f"{one.counted[0]} and {one.counted[1]}",
            soft_wrap=True,
        )
    return bool(wrong)


def _add_options(command: CommandParser) -> None:
    command.add_argument(
        "--only", metavar="METHOD", help="one decomposition, as tensor_ring (default: all)"
    )
    command.add_argument(
        "--measure",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="measure time and memory too, or count FLOPs and sizes alone",
    )
    command.add_argument(
        "--budget", type=float, default=6.0, metavar="SECONDS", help="rough time for each sweep"
    )
    add_results(command)


COMMAND = Command(
    name="validate",
    help="Measure the orders of time and memory that the papers state.",
    examples=(
        "rankbench validate",
        "rankbench validate --only tensor_ring --no-measure",
    ),
    add_options=_add_options,
    execute=validate,
)

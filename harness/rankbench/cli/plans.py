"""`rankbench plans`: check whether the planner's choice is among the fastest."""

from __future__ import annotations

import argparse
import signal

from rankbench.cli.parsing.command import Command
from rankbench.cli.parsing.options import add_results
from rankbench.cli.parsing.parser import CommandParser
from rankbench.common.checks import number, one_of, positive_int
from rankbench.common.exit_codes import DONE, FAILED
from rankbench.common.terminal import Screen


def plans(arguments: argparse.Namespace) -> int:
    """Time the planner's choice and the alternatives for all shapes; store and print the result."""
    import torch

    from rankbench.bench.plan_report import missed, summary, table
    from rankbench.bench.plan_rows import plan_rows
    from rankbench.bench.plans import judge, shapes
    from rankbench.bench.workload import DTYPES
    from rankbench.cli.show.steps import StepProgress
    from rankbench.layers.kernels.target import Target
    from rankbench.store.store import Store

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Like Ctrl-C: stop, then report.
    console = Screen()
    positive_int("--threads", arguments.threads)
    one_of("--dtype", arguments.dtype, DTYPES)
    number("--budget", arguments.budget, 0.0, 3600.0, open_low=True)
    chosen = [shape for shape in shapes() if arguments.only in shape.name]
    if not chosen:
        raise ValueError(f"--only must be part of a shape's name, got {arguments.only!r}")
    store = Store(arguments.results, arguments.study)
    torch.set_num_threads(arguments.threads)
    target = Target(dtype=arguments.dtype, threads=arguments.threads)
    verdicts = []
    try:
        with StepProgress(console, len(chosen), arguments.budget) as progress:
            for shape in progress.over(chosen, lambda shape: shape.name):
                verdict = judge(shape, target, arguments.budget)
                for row in plan_rows(verdict, target):
                    store.write_run(row)
                verdicts.append(verdict)
    except KeyboardInterrupt:
        console.print("stopped; what was measured is kept")
    store.compact()
    console.print(table(verdicts))
    console.print(summary(verdicts))
    console.print(f"results: {store.place}", soft_wrap=True)
    return DONE if len(verdicts) == len(chosen) and not missed(verdicts) else FAILED


def _add_options(command: CommandParser) -> None:
    command.add_argument(
        "--only",
        default="",
        metavar="TEXT",
        help="shapes whose name has this in it, as tensor_ring (default: all)",
    )
    command.add_argument("--threads", type=int, default=1, metavar="N", help="threads torch uses")
    command.add_argument(
        "--budget", type=float, default=1.5, metavar="SECONDS", help="rough time for each shape"
    )
    command.add_argument("--dtype", default="float32", help="float32 or bfloat16")
    command.add_argument("--study", default="plans", metavar="NAME", help="name of the results")
    add_results(command)


COMMAND = Command(
    name="plans",
    help="Compare the planner's choices with the fastest measured.",
    examples=(
        "rankbench plans",
        "rankbench plans --only tensor_ring --budget 0.5",
        "rankbench plans --dtype bfloat16 --study plans-bfloat16",
    ),
    add_options=_add_options,
    execute=plans,
)

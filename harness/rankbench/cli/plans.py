"""The command `rankbench plans`: is the planner's choice among the fastest?"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from rankbench.bench.plans import Shape, Verdict, judge, shapes
from rankbench.bench.workload import DTYPES
from rankbench.common.checks import number, one_of, positive_int
from rankbench.common.exit_codes import DONE, FAILED
from rankbench.common.terminal import STYLE, Screen
from rankbench.common.text import metric
from rankbench.layers.kernels.target import Target
from rankbench.layers.planning.choice import Choice
from rankbench.measure.machine import provenance
from rankbench.store.store import Store
from rankbench.tasks.base import digest
from rankbench.tasks.facts import layer_facts

LIMIT = 1.25  # times the fastest contender: a choice beyond is reported as missed
Row = dict[str, Any]


def plans(arguments: argparse.Namespace) -> int:
    """Time the planner's choice against its contenders over all shapes; print and store."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
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
        for shape in _watched(chosen, console):
            verdict = judge(shape, target, arguments.budget)
            for row in _rows(verdict, target):
                store.write_run(row)
            verdicts.append(verdict)
    except KeyboardInterrupt:
        console.print("stopped; what was measured is kept")
    store.compact()
    console.print(table(verdicts))
    console.print(summary(verdicts))
    console.print(f"results: {store.place}", soft_wrap=True)
    return DONE if len(verdicts) == len(chosen) and not missed(verdicts) else FAILED


def missed(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Those whose choice takes more than 1.25 times the fastest contender."""
    return [verdict for verdict in verdicts if verdict.ratio > LIMIT]


def summary(verdicts: Sequence[Verdict]) -> str:
    """How many choices are within the limit, and the median and largest ratio."""
    if not verdicts:
        return "nothing was measured"
    ratios = sorted(verdict.ratio for verdict in verdicts)
    within = len(verdicts) - len(missed(verdicts))
    return (
        f"{within} of {len(verdicts)} choices within {LIMIT:g} times the fastest measured; "
        f"median {statistics.median(ratios):.2f}, largest {ratios[-1]:.2f}"
    )


def table(verdicts: Sequence[Verdict]) -> Table:
    """A row a shape: the choice and the fastest, in ms of forward and backward."""
    shown = Table("shape, chosen, fastest where it is another", **STYLE)
    for name in ("chosen", "fastest", "ratio"):
        shown.add_column(name, justify="right", no_wrap=True)
    for verdict in verdicts:
        best, best_s = verdict.best
        lines = [f"  {verdict.timed[0][0].describe()}"]
        if best is not verdict.timed[0][0]:
            lines.append(f"  {best.describe()}")
        shown.add_row(
            Text.assemble((verdict.shape.name, "bold"), *(f"\n{line}" for line in lines)),
            metric(1e3 * verdict.chosen_s),
            metric(1e3 * best_s),
            f"{verdict.ratio:.2f}",
        )
    return shown


def _watched(chosen: Sequence[Shape], console: Console) -> Iterator[Shape]:
    """The shapes, with a bar and the time left, or a line each where there is no terminal."""
    if console.is_terminal:
        yield from track(chosen, "plans", console=console)
        return
    for place, shape in enumerate(chosen, 1):
        console.print(f"[{place}/{len(chosen)}] {shape.name}", markup=False, soft_wrap=True)
        yield shape


def _rows(verdict: Verdict, target: Target) -> Iterator[dict[str, list[Row]]]:
    """Per contender its row of `runs` and its samples; a repeat has the same run_id."""
    place = {**provenance("cpu"), "threads": target.threads, "dtype": target.dtype}
    best_s = verdict.best[1]
    for number_of, (choice, own) in enumerate(verdict.timed):
        if not own:
            continue
        row = _row(verdict.shape, choice, target) | place
        row["map_ms"] = 1e3 * statistics.median(own)
        row["plan_ratio"] = statistics.median(own) / best_s if number_of == 0 else None
        samples = [
            {"phase": "map", "sample": index, "ms": 1e3 * seconds}
            for index, seconds in enumerate(own)
        ]
        yield {"runs": [row], "samples": samples}


def _row(shape: Shape, choice: Choice, target: Target) -> Row:
    config = {
        "task": {"name": "plans", "rows": shape.rows},
        "layer": {"in_modes": shape.layer.in_modes, "out_modes": shape.layer.out_modes},
        "decomposition": [shape.layer.name, shape.layer.ranks],
        "contraction": choice.describe(),
        "target": [target.device, target.dtype, target.threads],
    }
    point_id = digest(json.dumps(config))
    return {
        **layer_facts(shape.layer),
        "run_id": point_id,
        "point_id": point_id,
        "seed": 0,
        "status": "done",
        "task": "plans",
        "config": json.dumps(config),
        "params": "{}",
        "rows": shape.rows,
        "kernel": choice.kernel,
        "contraction": choice.contraction.describe(),
        "forward_flops": choice.contraction.flops(shape.rows),
        "largest_intermediate": choice.contraction.largest_intermediate(shape.rows),
        "predicted_forward_ms": 1e3 * choice.forward_s,
        "predicted_backward_ms": 1e3 * choice.backward_s,
    }

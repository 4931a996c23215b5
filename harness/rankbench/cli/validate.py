"""The command `rankbench validate`."""

from __future__ import annotations

import argparse
import importlib
import signal
import time
from collections.abc import Iterator, Sequence

import torch
from rich.console import Console
from rich.progress import track

from rankbench.common.checks import number, one_of
from rankbench.common.exit_codes import DONE, FAILED
from rankbench.common.text import duration
from rankbench.layers.kernels.target import Target
from rankbench.store.store import Store
from rankbench.validate.measurement import SweepMeasurement, count_sweep, time_sweep
from rankbench.validate.rows import rows
from rankbench.validate.sweeps import METHODS, Sweep, sweeps

STUDY = "validate"


def validate(arguments: argparse.Namespace) -> int:
    """Count and time every sweep, store the rows, print the exponents beside those claimed."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: stop and tell
    console = Console()
    if arguments.only is not None:
        one_of("--only", arguments.only, METHODS)
    number("--budget", arguments.budget, 0.0, 3600.0, open_low=True)
    chosen = sweeps(arguments.only)
    store, target = Store(arguments.results, STUDY), Target(threads=1)
    torch.set_num_threads(target.threads)
    found: list[SweepMeasurement] = []
    stopped = False
    try:
        guess_s = arguments.budget if arguments.measure else 0.2
        for sweep in _watched(chosen, guess_s, console):
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
    _show(arguments, console)
    console.print(f"results: {store.folder}", soft_wrap=True)
    return FAILED if _disagree(found, console) or stopped else DONE


def _disagree(found: Sequence[SweepMeasurement], console: Console) -> bool:
    """Tell how many FLOP counts of torch are the plan's, and each that is not."""
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
            markup=False,
            soft_wrap=True,
        )
    return bool(wrong)


def _show(arguments: argparse.Namespace, console: Console) -> None:
    # The analysis stands above the harness: it is looked up by name.
    written = importlib.import_module("rankbench.analysis.tables.writers")
    written.show(written.tables_of(STUDY, root=arguments.results), console)


def _watched(chosen: Sequence[Sweep], guess_s: float, console: Console) -> Iterator[Sweep]:
    """The sweeps, with a bar and the time left, or a line each where there is no terminal."""
    if console.is_terminal:
        yield from track(chosen, "validate", console=console)
        return
    start = time.monotonic()
    for done, sweep in enumerate(chosen):
        each = (time.monotonic() - start) / done if done else guess_s
        left = duration(each * (len(chosen) - done))
        line = f"[{done + 1}/{len(chosen)}] {sweep.name} ({left} left)"
        console.print(line, markup=False, soft_wrap=True)
        yield sweep

"""The command `rankbench bench`."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterable, Mapping, Sequence
from itertools import product

import torch
from rich.console import Console

from rankbench.bench.contenders import CONTENDERS, Contender
from rankbench.bench.contest import Contest, ContestMeasurement
from rankbench.bench.floor import Rates, measure_rates
from rankbench.bench.maps import MAPS
from rankbench.bench.report import LEGEND, remarks, table
from rankbench.bench.rows import Row, tables
from rankbench.bench.workload import DTYPES
from rankbench.cli.bench_progress import BenchProgress
from rankbench.common.checks import number, one_of, positive_int
from rankbench.common.exit_codes import DONE, FAILED
from rankbench.common.terminal import Screen
from rankbench.store.store import Store

INSTALL = "pip install 'rankbench[peers]'"


def bench(arguments: argparse.Namespace) -> int:
    """Measure our layers and every installed peer, store the rows, print the tables."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: stop and tell
    console = Screen()
    contests = list(_contests(arguments))
    number("--budget", arguments.budget, 0.0, 86_400.0, open_low=True)
    store = Store(arguments.results, arguments.study)
    contenders = _contenders(console, arguments.contenders)
    torch.set_num_threads(arguments.threads)
    rows: list[Row] = []
    stopped = False
    with BenchProgress(console, len(contests), arguments.budget) as progress:
        try:
            for row in _measure(contests, contenders, arguments.budget, store, progress):
                rows.append(row)
        except KeyboardInterrupt:
            stopped = True
    _print(console, rows)
    return _conclude(console, rows, store, stopped)


def _measure(
    contests: Iterable[Contest],
    contenders: Mapping[str, Contender],
    budget_s: float,
    store: Store,
    progress: BenchProgress,
) -> Iterable[Row]:
    rates: dict[str, Rates] = {}
    for contest in contests:
        progress.begin(contest)
        if contest.dtype not in rates:
            rates[contest.dtype] = measure_rates(getattr(torch, contest.dtype), contest.device)
        measurement = ContestMeasurement(contest, contenders)
        interrupt = None
        try:
            measurement.run(budget_s, progress.told)
        except KeyboardInterrupt as error:
            interrupt = error
        for found in tables(measurement, rates[contest.dtype]):
            store.write_run(found)
            yield found["runs"][0]
        if interrupt is not None:
            raise interrupt
        progress.end()


def _contests(arguments: argparse.Namespace) -> Iterable[Contest]:
    """Every map, dtype and batch asked for.

    Raises ValueError for an unknown map or dtype, and for a count below 1.
    """
    names = arguments.maps or list(MAPS)
    for name in names:
        one_of("MAP", name, MAPS)
    for dtype in arguments.dtype:
        one_of("--dtype", dtype, DTYPES)
    for batch in arguments.batch:
        positive_int("--batch", batch)
    positive_int("--threads", arguments.threads)
    device = _device(arguments.device)
    for dtype, batch, name in product(
        *map(dict.fromkeys, (arguments.dtype, arguments.batch, names))
    ):
        yield Contest(
            name=name,
            input_map=MAPS[name],
            batch=batch,
            dtype=dtype,
            threads=arguments.threads,
            device=device,
        )


def _device(asked: str) -> str:
    """cpu or cuda.

    Raises ValueError for cuda where torch sees no GPU.
    """
    seen = torch.cuda.is_available()
    if asked == "cuda" and not seen:
        raise ValueError("--device is cuda, but torch sees no GPU here; choose cpu or auto")
    return "cuda" if seen and asked != "cpu" else "cpu"


def _contenders(console: Console, asked: Sequence[str] | None) -> dict[str, Contender]:
    """Those asked for, or all that are installed; says which are not.

    Raises ValueError for an unknown contender, and for one that is asked for and not installed.
    """
    for name in asked or ():
        one_of("--contenders", name, CONTENDERS)
    present, absent = {}, {}
    for name in asked or CONTENDERS:
        contender = CONTENDERS[name]
        reason = contender.missing()
        if reason is None:
            present[name] = contender
        elif asked:
            raise ValueError(f"--contenders {name} is {reason}: {INSTALL}")
        else:
            absent[contender.distribution] = reason
    for distribution, reason in absent.items():
        console.print(f"{distribution} is {reason} ({INSTALL})", markup=False)
    return present


def _print(console: Console, rows: Sequence[Row]) -> None:
    groups: dict[tuple[int, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["rows"], row["dtype"]), []).append(row)
    for group in groups.values():
        console.print(table(group))
    for remark in remarks(rows):
        console.print(remark, markup=False, soft_wrap=True)
    if rows:
        console.print(LEGEND, style="dim", markup=False)


def _conclude(console: Console, rows: Sequence[Row], store: Store, stopped: bool) -> int:
    console.print(f"results: {store.place}", soft_wrap=True)
    elsewhere = "" if str(store.root) == "results" else f" --results {store.root}"
    console.print(f"figures: rankbench figures {store.study}{elsewhere}", soft_wrap=True)
    if stopped:
        console.print(
            "stopped; what was measured is kept, the rest is measured by the same command"
        )
    failed = stopped or any(row["status"] != "done" for row in rows)
    return FAILED if failed else DONE

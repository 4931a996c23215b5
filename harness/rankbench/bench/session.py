"""A whole bench: the contests asked for, the contenders present, and their rows as measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product

import torch

from rankbench.bench.contenders import CONTENDERS, Contender
from rankbench.bench.contest import Contest, ContestMeasurement
from rankbench.bench.floor import Rates, measure_rates
from rankbench.bench.maps import MAPS
from rankbench.bench.rows import Row, tables
from rankbench.bench.workload import DTYPES
from rankbench.common.checks import one_of, positive_int
from rankbench.store.store import Store

INSTALL = "pip install 'rankbench[peers]'"


def contests(
    maps: Sequence[str], dtypes: Sequence[str], batches: Sequence[int], threads: int, device: str
) -> list[Contest]:
    """Every combination of map, dtype and batch.

    Args:
        maps: Names of input maps; all where empty.
        dtypes: Of DTYPES.
        batches: Clips of a batch.
        threads: Threads that torch uses.
        device: auto, cpu or cuda.

    Raises:
        ValueError: For an unknown name, a count below 1, or cuda without a GPU.
    """
    names = maps or list(MAPS)
    for name in names:
        one_of("MAP", name, MAPS)
    for dtype in dtypes:
        one_of("--dtype", dtype, DTYPES)
    for batch in batches:
        positive_int("--batch", batch)
    positive_int("--threads", threads)
    place = _device(device)
    combinations = product(dict.fromkeys(dtypes), dict.fromkeys(batches), dict.fromkeys(names))
    return [
        Contest(
            name=name, input_map=MAPS[name], batch=batch, dtype=dtype, threads=threads, device=place
        )
        for dtype, batch, name in combinations
    ]


def _device(asked: str) -> str:
    seen = torch.cuda.is_available()
    if asked == "cuda" and not seen:
        raise ValueError("--device is cuda, but torch sees no GPU here; choose cpu or auto")
    return "cuda" if seen and asked != "cpu" else "cpu"


def contenders(asked: Sequence[str] | None) -> tuple[dict[str, Contender], dict[str, str]]:
    """The contenders asked for, or all that are installed, and why each of the others is missing.

    Raises:
        ValueError: For an unknown contender, and for one asked for that is not installed.
    """
    for name in asked or ():
        one_of("--contenders", name, CONTENDERS)
    present: dict[str, Contender] = {}
    absent: dict[str, str] = {}
    for name in asked or CONTENDERS:
        contender = CONTENDERS[name]
        reason = contender.missing()
        if reason is None:
            present[name] = contender
        elif asked:
            raise ValueError(f"--contenders {name} is {reason}: {INSTALL}")
        else:
            absent[contender.distribution or name] = reason
    return present, absent


def measure(
    chosen: Iterable[Contest],
    present: Mapping[str, Contender],
    budget_s: float,
    store: Store,
    on_note: Callable[[str], None],
) -> Iterator[Row]:
    """Measure contest after contest, and yield the row of each contender once it is stored.

    An interrupt is raised again after the rows measured until then are stored.
    """
    rates: dict[str, Rates] = {}
    for contest in chosen:
        if contest.dtype not in rates:
            rates[contest.dtype] = measure_rates(getattr(torch, contest.dtype), contest.device)
        measurement = ContestMeasurement(contest, present)
        interrupt = None
        try:
            measurement.run(budget_s, on_note)
        except KeyboardInterrupt as error:
            interrupt = error
        for found in tables(measurement, rates[contest.dtype]):
            store.write_run(found)
            yield found["runs"][0]
        if interrupt is not None:
            raise interrupt

"""Time the calls of several contenders in turns, so that a slow moment of the machine hits all."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from time import perf_counter, process_time

import torch

from rankbench.measure.timing import Call

MIN_ROUNDS, MAX_ROUNDS = 3, 100


@dataclass(frozen=True, kw_only=True)
class Lane:
    """The calls of one contender."""

    calls: Mapping[str, Call]
    """Calls to time, by phase, in the order in which they run."""
    reset: Call
    """Runs before the calls of each round, without being timed."""


@dataclass(frozen=True, kw_only=True)
class Timed:
    """The times of one call."""

    lane: str
    """Name of the lane."""
    phase: str
    """Name of the call."""
    ms: float
    """Wall time in ms."""
    cpu_ms: float
    """Processor time of all threads in ms."""


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The exception of a lane, which is not timed any further."""

    lane: str
    """Name of the lane."""
    error: Exception
    """What its call has raised."""


def finish_on(device: str) -> Call:
    """Return a function that waits until all calls on a device have finished."""
    return torch.cuda.synchronize if device == "cuda" else lambda: None


def interleave(
    lanes: Mapping[str, Lane],
    *,
    budget_s: float,
    min_rounds: int = MIN_ROUNDS,
    max_rounds: int = MAX_ROUNDS,
    finish: Call = lambda: None,
) -> Iterator[Timed | Failed]:
    """Time every lane once per round, A B C A B C, until each has used its share of the budget.

    Python's garbage collector is disabled while a lane is timed.

    Args:
        lanes: Calls to time, by name of the lane.
        budget_s: Seconds for all lanes together; a lane leaves before it would exceed its share.
        min_rounds: Rounds that every lane runs, whatever the budget.
        max_rounds: Rounds after which every lane leaves.
        finish: Waits for work that a call has left running.
    """
    waiting, share = dict(lanes), budget_s / max(1, len(lanes))
    spent = dict.fromkeys(lanes, 0.0)
    for done in range(1, max_rounds + 1):
        for name, lane in list(waiting.items()):
            start = perf_counter()
            try:
                timed = _round(name, lane, finish)
            except Exception as error:  # Peers may raise anything; the other lanes continue.
                del waiting[name]
                yield Failed(lane=name, error=error)
                continue
            took = perf_counter() - start
            spent[name] += took
            if done >= min_rounds and spent[name] + took > share:
                del waiting[name]
            yield from timed


def _round(name: str, lane: Lane, finish: Call) -> list[Timed]:
    lane.reset()
    collects = gc.isenabled()
    gc.disable()
    try:
        return [_timed(name, phase, call, finish) for phase, call in lane.calls.items()]
    finally:
        if collects:
            gc.enable()


def _timed(name: str, phase: str, call: Call, finish: Call) -> Timed:
    finish()
    start, cpu_start = perf_counter(), process_time()
    result = call()
    finish()
    ms, cpu_ms = 1e3 * (perf_counter() - start), 1e3 * (process_time() - cpu_start)
    del result  # Freeing the result must not be timed.
    return Timed(lane=name, phase=phase, ms=ms, cpu_ms=cpu_ms)

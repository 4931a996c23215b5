"""Calls of several contenders timed in turns, so that a slow moment of the machine hits all."""

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
    """A contender's `calls` by phase, in the order they run; `reset` runs before them, untimed."""

    calls: Mapping[str, Call]
    reset: Call


@dataclass(frozen=True, kw_only=True)
class Timed:
    """One call: wall time, and processor time of all threads, both in ms."""

    lane: str
    phase: str
    ms: float
    cpu_ms: float


@dataclass(frozen=True, kw_only=True)
class Failed:
    """What a lane raised; it takes no further part."""

    lane: str
    error: Exception


def finish_on(device: str) -> Call:
    """What waits until the calls made on `device` are done."""
    return torch.cuda.synchronize if device == "cuda" else lambda: None


def interleave(
    lanes: Mapping[str, Lane],
    *,
    budget_s: float,
    min_rounds: int = MIN_ROUNDS,
    max_rounds: int = MAX_ROUNDS,
    finish: Call = lambda: None,
) -> Iterator[Timed | Failed]:
    """Time every lane once a round, A B C A B C, until each has had its share of `budget_s`.

    A lane leaves when another round would exceed its share, after `min_rounds` at the least, and
    after `max_rounds` in any case. Python's garbage collector rests while a lane is timed. `finish`
    waits for what a call left running.
    """
    waiting, share = dict(lanes), budget_s / max(1, len(lanes))
    spent = dict.fromkeys(lanes, 0.0)
    for done in range(1, max_rounds + 1):
        for name, lane in list(waiting.items()):
            start = perf_counter()
            try:
                timed = _round(name, lane, finish)
            except Exception as error:  # a peer may raise anything; the others go on
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
    kept = call()
    finish()
    ms, cpu_ms = 1e3 * (perf_counter() - start), 1e3 * (process_time() - cpu_start)
    del kept  # after the clock
    return Timed(lane=name, phase=phase, ms=ms, cpu_ms=cpu_ms)

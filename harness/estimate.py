"""A rough estimate of a run's time, from its FLOPs and this machine's speed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch

from harness.point import Point

_START_S = 0.3  # starting a child process
_ROWS, _IN, _OUT = 96, 8192, 512  # a skinny product, as input maps are


@dataclass(frozen=True)
class Speed:
    """FLOPs a second in a matrix product, and seconds a small tensor operation takes."""

    flops_per_s: float
    seconds_per_call: float

    def seconds(self, point: Point, together: int = 1) -> float:
        """Estimated seconds of one run of `point`: its FLOPs and its calls, added.

        Runs trained `together` share their calls and the start of their process.
        """
        work = point.task.work(point)
        calls = work.steps * work.calls * self.seconds_per_call
        return work.steps * work.flops / self.flops_per_s + (_START_S + calls) / together


def estimate(points: Iterable[Point], threads: int, together: int = 1) -> dict[str, float]:
    """Estimated seconds of one run of each point on this machine, by point id."""
    speed = measure_speed(threads)
    return {point.point_id: speed.seconds(point, together) for point in points}


def measure_speed(threads: int) -> Speed:
    """Time a skinny matrix product and a small addition on this machine's CPU."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    x, w, small = torch.randn(_ROWS, _IN), torch.randn(_IN, _OUT), torch.randn(8)
    product = _median_s(lambda: x @ w, 10)
    call = _median_s(lambda: small + small, 1000)
    torch.set_num_threads(before)
    # A call of a training step carries its share of autograd and the optimiser.
    return Speed(flops_per_s=2 * _ROWS * _IN * _OUT / product, seconds_per_call=10 * call)


def _median_s(call: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)

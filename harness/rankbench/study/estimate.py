"""Estimate the duration of a run roughly, from its FLOPs and the speed of this machine."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import version

from rankbench.common.cache_dir import cache_folder
from rankbench.tasks.base import Point

_START_S = 0.3  # Seconds to start a child process.
_ROWS, _IN, _OUT = 96, 8192, 512  # Few rows and many columns, as in products with input maps.
_KEPT_S = 7 * 24 * 3600.0  # Not for ever: a machine may be busy when it is measured.
_VALUES = 2**20  # Values in a batch of video frames.


@dataclass(frozen=True, kw_only=True)
class RuntimeModel:
    """The measured speed of a CPU, from which the duration of a run is estimated."""

    flops_per_s: float
    """FLOPs per second in a matrix product."""
    seconds_per_call: float
    """Seconds of one small tensor operation in a training step."""
    seconds_per_value: float = 0.0
    """Seconds to normalise one value of a batch of frames."""
    seconds_per_mask: float = 0.0
    """Seconds to draw and apply dropout to one value of a batch of frames."""

    def seconds(self, point: Point, together: int = 1) -> float:
        """Estimate the seconds of one run of `point`, as the sum of FLOPs, input and calls.

        Args:
            point: The point that the run measures.
            together: Number of runs trained as one program; they share the time of the calls and
                of starting the process.
        """
        work = point.task.run_cost(point)
        calls = work.steps * work.calls * self.seconds_per_call
        step = work.flops / self.flops_per_s
        step += work.values * self.seconds_per_value + work.masked * self.seconds_per_mask
        return work.steps * step + (_START_S + calls) / together


def estimate(points: Iterable[Point], threads: int, together: int = 1) -> dict[str, float]:
    """Estimate the seconds of one run of each point on this machine.

    Args:
        points: The points to estimate.
        threads: Torch threads of a run.
        together: Number of runs trained as one program.

    Returns:
        Seconds by `point_id`.
    """
    speed = runtime_model(threads)
    return {point.point_id: speed.seconds(point, together) for point in points}


def runtime_model(threads: int) -> RuntimeModel:
    """Return how fast this machine is with so many threads, measured once and kept for a week.

    Measuring needs torch, whose import takes longer than everything else that `plan` does.
    """
    machine = [platform.node(), platform.processor(), version("torch"), threads]
    digest = hashlib.sha256(json.dumps(machine).encode()).hexdigest()[:16]
    path = cache_folder() / "runtime" / f"{digest}.json"
    try:
        if time.time() - path.stat().st_mtime < _KEPT_S:
            return RuntimeModel(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        pass  # not measured yet, or damaged
    model = measure_runtime(threads)
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time alone
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = path.with_suffix(f".{os.getpid()}.tmp")
        staged.write_text(json.dumps(asdict(model)))
        staged.replace(path)
    return model


def measure_runtime(threads: int) -> RuntimeModel:
    """Measure this CPU: a matrix product, a small addition, normalisation and dropout.

    Args:
        threads: Torch threads to measure with.
    """
    import torch

    from rankbench.training.dropout import WideDropout  # loads torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    x, w, small = torch.randn(_ROWS, _IN), torch.randn(_IN, _OUT), torch.randn(8)
    frames, dropout = torch.zeros(_VALUES, dtype=torch.uint8), WideDropout(0.25)
    normalised = frames.float()
    product = _median_s(lambda: x @ w, 10)
    call = _median_s(lambda: small + small, 1000)
    value = _median_s(lambda: frames.float().sub_(1.0).div_(2.0), 5) / _VALUES
    mask = _median_s(lambda: dropout(normalised), 5) / _VALUES
    torch.set_num_threads(before)
    return RuntimeModel(
        flops_per_s=2 * _ROWS * _IN * _OUT / product,
        # In a training step, autograd and the optimiser add about nine operations to each one.
        seconds_per_call=10 * call,
        seconds_per_value=value,
        seconds_per_mask=mask,
    )


def _median_s(call: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)

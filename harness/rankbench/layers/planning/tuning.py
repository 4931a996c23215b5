"""Choose a contraction by measurement: time the most promising ones once and cache the result."""

from __future__ import annotations

import functools
import hashlib
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from rankbench.common.cache_dir import cache_folder
from rankbench.layers.contraction.stages import contraction
from rankbench.layers.kernels.target import Target
from rankbench.layers.planning.apply import apply
from rankbench.layers.planning.choice import Choice, choices, usable_kernels

if TYPE_CHECKING:
    from torch import Tensor

    from rankbench.layers.base import Layer

_CONTENDERS = 6  # The contractions that are timed, best first as predicted.
_ROUNDS = (5, 50)  # The fewest and the most rounds of measurement.
_LATE = 5.0  # Times the budget after which even the fewest rounds are cut short.
_HOPELESS = 4.0  # Times the best sample above which a contender is not timed again.


@functools.lru_cache(maxsize=4096)
def tuned(layer: Layer, rows: int, target: Target) -> Choice:
    """Return the choice with the fastest forward and backward pass, as measured on this machine.

    The contractions that the cost model predicts to be fastest are timed. The result is cached in
    the user's cache folder by layer, rows, device, dtype, threads and machine. If the cache cannot
    be read or written, they are timed again.
    """
    rows = max(rows, 1)
    path = _cache_file(layer, rows, target)
    choice = _read_cache(path, layer)
    if choice is None or choice.kernel not in usable_kernels(layer.kernel, target):
        contenders = choices(replace(layer, plan="auto"), rows, target)[:_CONTENDERS]
        times = time_choices(contenders, rows, target)
        choice, _ = min(times, key=lambda pair: statistics.median(pair[1]))
        _write_cache(path, choice, times)
    return choice


def time_choices(
    contenders: Sequence[Choice], rows: int, target: Target, budget_s: float = 1.0
) -> list[tuple[Choice, list[float]]]:
    """Time forward and backward pass of each contender, in turns, on normally distributed data.

    There are at least 5 rounds, then more until `budget_s` seconds have passed or there are 50;
    2 rounds suffice if they take many times the budget. A contender that took more than 4 times
    the best sample is not timed again.

    Args:
        contenders: The choices to time, all of the same layer.
        rows: Number of rows.
        target: Device and dtype.
        budget_s: Seconds to spend.

    Returns:
        Each choice with its samples in seconds.
    """
    generator = torch.Generator().manual_seed(0)
    dtype, network = getattr(torch, target.dtype), contenders[0].contraction.network
    sizes = network.sizes

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(target.device, dtype)

    x, g = draw(rows, network.in_features), draw(rows, network.out_features)
    cores = [draw(*(sizes[label] for label in core.indices)) for core in network.cores]
    for core in cores:
        core.requires_grad_()
    # With one thread, processor time excludes what other processes take from this one.
    one_thread = target.device == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if one_thread else time.perf_counter
    samples: list[list[float]] = [[] for _ in contenders]
    running = set(range(len(contenders)))
    deadline = time.perf_counter() + budget_s
    for turn in range(_ROUNDS[1] + 1):  # Round 0 warms up and is not recorded.
        late = time.perf_counter() - deadline
        if (turn > _ROUNDS[0] and late > 0) or (turn > 2 and late > _LATE * budget_s):
            break
        order = sorted(running, key=lambda place: (place + turn) % len(contenders))
        for place in order:
            seconds = _step_seconds(contenders[place], x, g, cores, clock)
            if turn:
                samples[place].append(seconds)
        best = min(min(seconds) for seconds in samples if seconds) if turn else 0.0
        running = {p for p in running if not turn or samples[p][-1] <= _HOPELESS * best}
    return list(zip(contenders, samples, strict=True))


def _step_seconds(
    choice: Choice, x: Tensor, g: Tensor, cores: Sequence[Tensor], clock: Callable[[], float]
) -> float:
    def finish() -> None:
        if x.is_cuda:
            torch.cuda.synchronize()

    finish()
    start = clock()
    torch.autograd.grad(apply(choice, x, cores), cores, g)
    finish()
    return clock() - start


def _cache_file(layer: Layer, rows: int, target: Target) -> Path:
    device = (
        torch.cuda.get_device_name() if target.device == "cuda" else platform.processor() or "cpu"
    )
    facts = {
        "layer": [layer.name, layer.in_modes, layer.out_modes, layer.ranks, layer.kernel],
        "rows": rows,
        "target": asdict(target),
        "machine": [device, platform.node(), torch.__version__],
    }
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    return cache_folder() / "plans" / f"{digest}.json"


def _read_cache(path: Path, layer: Layer) -> Choice | None:
    """Return the cached choice, or None if there is none or it is not valid."""
    try:
        cached = json.loads(path.read_text())
        groups = tuple(tuple(group) for group in cached["groups"])
        if sorted(core for group in groups for core in group) != list(range(len(layer.cores()))):
            return None
        seconds = (float(cached["forward_s"]), float(cached["backward_s"]))
        return Choice(contraction(layer.network, groups), str(cached["kernel"]), *seconds)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_cache(path: Path, choice: Choice, times: Sequence[tuple[Choice, list[float]]]) -> None:
    content: dict[str, Any] = {
        "groups": choice.contraction.groups,
        "kernel": choice.kernel,
        "forward_s": choice.forward_s,
        "backward_s": choice.backward_s,
        "measured_s": {timed.describe(): statistics.median(samples) for timed, samples in times},
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            json.dump(content, file, indent=1)
        Path(file.name).replace(path)
    except OSError:
        return

"""Plans by measurement: the most promising contractions timed once for a shape, then remembered."""

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

_CONTENDERS = 6
_ROUNDS, _LATE = (5, 50), 5.0
_HOPELESS = 4.0  # times the best so far: such a contender is timed no further


@functools.lru_cache(maxsize=4096)
def tuned(layer: Layer, rows: int, target: Target) -> Choice:
    """The fastest forward and backward of those the model thinks best, measured or remembered.

    What was measured is kept in the user's cache, by layer, rows, device, type and threads; a
    cache that cannot be read or written costs the measurement again.
    """
    rows = max(rows, 1)
    path = _remembered_in(layer, rows, target)
    found = _recall(path, layer)
    if found is None or found.kernel not in usable_kernels(layer.kernel, target):
        contenders = choices(replace(layer, plan="auto"), rows, target)[:_CONTENDERS]
        times = time_choices(contenders, rows, target)
        found, _ = min(times, key=lambda pair: statistics.median(pair[1]))
        _remember(path, found, times)
    return found


def time_choices(
    contenders: Sequence[Choice], rows: int, target: Target, budget_s: float = 1.0
) -> list[tuple[Choice, list[float]]]:
    """Seconds of forward and backward of each contender, in turns, on N(0, 1) data.

    At least 5 rounds, then more until `budget_s` is over or there are 50; at least 2 where a round
    takes many times the budget. A contender that is hopelessly slow in one is timed no further.
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
    # The time of one thread alone is not disturbed by what else runs on the machine.
    alone = target.device == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter
    samples: list[list[float]] = [[] for _ in contenders]
    running = set(range(len(contenders)))
    deadline = time.perf_counter() + budget_s
    for turn in range(_ROUNDS[1] + 1):  # the first one warms up
        late = time.perf_counter() - deadline
        if (turn > _ROUNDS[0] and late > 0) or (turn > 2 and late > _LATE * budget_s):
            break
        order = sorted(running, key=lambda place: (place + turn) % len(contenders))
        for place in order:
            seconds = _step_seconds(contenders[place], x, g, cores, clock)
            if turn:
                samples[place].append(seconds)
        best = min(min(own) for own in samples if own) if turn else 0.0
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


def _remembered_in(layer: Layer, rows: int, target: Target) -> Path:
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


def _recall(path: Path, layer: Layer) -> Choice | None:
    try:
        known = json.loads(path.read_text())
        groups = tuple(tuple(group) for group in known["groups"])
        if sorted(core for group in groups for core in group) != list(range(len(layer.cores()))):
            return None
        seconds = (float(known["forward_s"]), float(known["backward_s"]))
        found = contraction(layer.network, groups)
        return Choice(found, str(known["kernel"]), *seconds)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(path: Path, found: Choice, times: Sequence[tuple[Choice, list[float]]]) -> None:
    known: dict[str, Any] = {
        "groups": found.contraction.groups,
        "kernel": found.kernel,
        "forward_s": found.forward_s,
        "backward_s": found.backward_s,
        "measured_s": {choice.describe(): statistics.median(own) for choice, own in times},
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            json.dump(known, file, indent=1)
        Path(file.name).replace(path)
    except OSError:
        return

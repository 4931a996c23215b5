"""Time and memory of a call: raw samples by an adaptive rule, the peak of tensor bytes."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rankbench.common.checks import number, one_of, positive_int

Call = Callable[[], object]
DEVICES = ("cpu", "cuda")
STEADY = 0.1  # samples are enough once IQR / median is below
MB = 1e6  # bytes


@dataclass(frozen=True, kw_only=True)
class TrainingCost:
    """What training costs, by phase: forward, backward, step.

    `times_ms`: raw samples in ms. `peak_mb`: peak of tensor bytes in MB (10^6 bytes).
    """

    times_ms: dict[str, list[float]]
    peak_mb: dict[str, float]


def time_call(
    call: Call,
    *,
    device: str,
    warmup: int = 3,
    min_repeats: int = 10,
    max_repeats: int = 200,
    budget_s: float = 5.0,
    setup: Call | None = None,
) -> list[float]:
    """Times of `call` in ms, a sample a repeat, in the order measured.

    CUDA events on a GPU, `perf_counter` on a CPU. After `warmup` calls that are not kept, repeats
    until, from `min_repeats` on, IQR / median < 0.1; or `max_repeats`; or `budget_s` seconds,
    warm-up included, are over, then with fewer than `min_repeats` but at least one. `setup` runs
    before every call, untimed. What a call returns is freed after its clock stopped.

    Raises ValueError for an unknown device or a limit out of its range.
    """
    _check_limits(warmup, min_repeats, max_repeats, budget_s)
    clock = _event_ms if _on_gpu(device) else _clock_ms

    def sample() -> float:
        if setup is not None:
            setup()
        return _undisturbed(clock, call)

    deadline = perf_counter() + budget_s
    for _ in range(warmup):
        sample()
        if perf_counter() >= deadline:
            break
    samples = [sample()]
    while len(samples) < max_repeats and perf_counter() < deadline:
        if len(samples) >= min_repeats and _steady(samples):
            break
        samples.append(sample())
    return samples


def peak_memory(call: Call, device: str) -> float:
    """Peak in MB (10^6 bytes) of the tensors that `call` makes, beyond those alive before it.

    On a GPU the allocator's peak after a reset, so with its rounding and a kernel's workspace; a
    first call may set up workspaces that later ones do not: make one before. On a CPU every
    storage once, from the operation that makes it until it is freed, with what autograd saves and
    gradients; not what a kernel uses inside itself.

    Raises ValueError for an unknown device.
    """
    if _on_gpu(device):
        return _allocator_peak(call) / MB
    watch = _LiveBytes()
    with watch:
        call()
    return watch.peak / MB


def measure_training(
    forward: Callable[[], Tensor],
    optimizer: torch.optim.Optimizer,
    *,
    device: str,
    step: Call | None = None,
    **limits: Any,
) -> TrainingCost:
    """Time and memory of forward, backward and a whole training step, each apart.

    `forward` returns a scalar loss whose graph is recorded. Time: `backward` begins after its
    forward, `step` is clearing the gradients, forward, backward and the optimiser's update, or
    the `step` given, such as one that replays them. Peak:
    `backward` includes its forward and the gradients, `step` the optimiser's temporaries; the
    optimiser's state exists by then, gradients do not. `limits` are those of `time_call` and hold
    for each phase. The weights have been trained by as many steps afterwards.

    Raises ValueError for an unknown device or a limit out of its range.
    """
    phases = _Phases(forward, optimizer)
    timed = {
        "forward": (forward, None),
        "backward": (phases.backward_alone, phases.prepare),
        "step": (step or phases.step, None),
    }
    times = {
        phase: time_call(call, device=device, setup=setup, **limits)
        for phase, (call, setup) in timed.items()
    }
    peaks = {}
    for phase, call in (
        ("forward", forward),
        ("backward", phases.backward),
        ("step", phases.step),
    ):
        phases.clear()
        peaks[phase] = peak_memory(call, device)
    phases.clear()
    return TrainingCost(times_ms=times, peak_mb=peaks)


class _Phases:
    """The parts of a training step, each a call without arguments."""

    def __init__(self, forward: Callable[[], Tensor], optimizer: torch.optim.Optimizer) -> None:
        self.forward = forward
        self.optimizer = optimizer
        self.loss: Tensor | None = None

    def clear(self) -> None:
        self.loss = None
        self.optimizer.zero_grad(set_to_none=True)

    def prepare(self) -> None:
        self.clear()
        self.loss = self.forward()

    def backward_alone(self) -> None:
        assert self.loss is not None
        self.loss.backward()

    def backward(self) -> None:
        self.forward().backward()

    def step(self) -> None:
        self.clear()
        self.backward()
        self.optimizer.step()


def _on_gpu(device: str) -> bool:
    one_of("device", device, DEVICES)
    return device == "cuda"


def _check_limits(warmup: int, min_repeats: int, max_repeats: int, budget_s: float) -> None:
    if isinstance(warmup, bool) or not isinstance(warmup, int) or warmup < 0:
        raise ValueError(f"warmup must be an integer of at least 0, got {warmup!r}")
    positive_int("min_repeats", min_repeats)
    positive_int("max_repeats", max_repeats)
    number("budget_s", budget_s, 0.0, 86_400.0, open_low=True)


def _undisturbed(clock: Callable[[Call], float], call: Call) -> float:
    collects = gc.isenabled()
    gc.disable()  # a collection would be timed as if the call did it
    try:
        return clock(call)
    finally:
        if collects:
            gc.enable()


def _clock_ms(call: Call) -> float:
    start = perf_counter()
    _kept = call()
    return (perf_counter() - start) * 1e3


def _event_ms(call: Call) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()  # else the launches hide behind what still runs
    start.record()
    _kept = call()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end))


def _steady(samples: list[float]) -> bool:
    low, median, high = np.percentile(samples, (25, 50, 75))
    return bool(high - low < STEADY * median)


def _allocator_peak(call: Call) -> int:
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    _kept = call()
    torch.cuda.synchronize()
    return int(torch.cuda.max_memory_allocated() - before)


class _LiveBytes(TorchDispatchMode):
    """Follows every storage that an operation makes while the mode is on, until it is freed."""

    def __init__(self) -> None:
        TorchDispatchMode.__init__(self)
        self.live = 0
        self.peak = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        # torch.tensor fills its storage out of sight and shows it here as if it were older.
        shown = () if func is torch.ops.aten.lift_fresh.default else (args, kwargs)
        older = {id(storage) for storage in _storages(shown)} - self._sizes.keys()
        result = func(*args, **(kwargs or {}))
        for storage in _storages(result):
            if id(storage) not in older:
                self._follow(storage)
        self.peak = max(self.peak, self.live)
        return result

    def _follow(self, storage: torch.UntypedStorage) -> None:
        # A storage's Python object lives as long as the storage, so its id names it until then.
        key = id(storage)
        if key not in self._sizes:
            weakref.finalize(storage, self._forget, key)
        self.live += storage.nbytes() - self._sizes.get(key, 0)
        self._sizes[key] = storage.nbytes()

    def _forget(self, key: int) -> None:
        self.live -= self._sizes.pop(key)


def _storages(tree: Any) -> Iterator[torch.UntypedStorage]:
    for leaf in tree_leaves(tree):
        if isinstance(leaf, Tensor) and leaf.layout == torch.strided:
            yield leaf.untyped_storage()

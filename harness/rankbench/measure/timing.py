"""Measure the time of a call, as raw samples, and the peak of the tensor bytes that it holds."""

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
STEADY = 0.1  # Enough samples are taken once IQR / median is below this.
MB = 1e6  # Bytes of a megabyte.


@dataclass(frozen=True, kw_only=True)
class TrainingCost:
    """Time and memory of the phases of training: `forward`, `backward` and `step`."""

    times_ms: dict[str, list[float]]
    """Raw samples of each phase, in ms."""
    peak_mb: dict[str, float]
    """Peak of the tensor bytes of each phase, in MB (10^6 bytes)."""


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
    """Measure the time of a call repeatedly.

    It is measured with CUDA events on a GPU and with `perf_counter` on a CPU. Repeats end when
    there are `min_repeats` samples with IQR / median below 0.1, or `max_repeats` samples, or when
    `budget_s` seconds have passed. At least one sample is taken. The result of a call is freed
    after its clock has stopped.

    Args:
        call: The call to measure.
        device: `cpu` or `cuda`.
        warmup: Calls before the first sample, at least 0.
        min_repeats: Fewest samples, unless the budget is spent.
        max_repeats: Most samples.
        budget_s: Seconds to spend, warm-up included.
        setup: Runs before every call and is not timed; None for nothing.

    Returns:
        The samples in ms, in the order measured.

    Raises:
        ValueError: If the device is unknown or a limit is out of its range.
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
    """Measure the peak of the bytes of the tensors that a call makes.

    Tensors that are alive before the call do not count. On a GPU the result is the allocator's
    peak, which includes its rounding and the workspaces of kernels; a first call may allocate
    workspaces that later calls reuse, so make one call before. On a CPU every storage counts once,
    from the operation that makes it until it is freed, including gradients and what autograd
    saves, but not the memory that a kernel uses internally.

    Args:
        call: The call to measure.
        device: `cpu` or `cuda`.

    Returns:
        The peak in MB (10^6 bytes).

    Raises:
        ValueError: If the device is unknown.
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
    """Measure time and memory of a forward pass, a backward pass and a whole training step.

    The time of `backward` excludes its forward pass. The time of `step` covers clearing the
    gradients, forward pass, backward pass and the optimiser's update. The peak of `backward`
    includes its forward pass and the gradients; the peak of `step` also includes the optimiser's
    temporary tensors. The optimiser's state exists before the memory is measured; gradients do not.

    The measured steps train the weights.

    Args:
        forward: Returns the loss, a scalar with its graph.
        optimizer: The optimiser of the step.
        device: `cpu` or `cuda`.
        step: The step to time, such as the replay of a CUDA graph; None for the eager one.
        limits: Limits of `time_call`, which apply to each phase.

    Raises:
        ValueError: If the device is unknown or a limit is out of its range.
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
    """The parts of a training step, as calls without arguments."""

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
    was_enabled = gc.isenabled()
    gc.disable()  # A garbage collection would be timed as part of the call.
    try:
        return clock(call)
    finally:
        if was_enabled:
            gc.enable()


def _clock_ms(call: Call) -> float:
    start = perf_counter()
    _kept = call()
    return (perf_counter() - start) * 1e3


def _event_ms(call: Call) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()  # Otherwise launches would overlap with work that is still running.
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
    """Counts the bytes of every storage that an operation makes in the mode, until it is freed."""

    def __init__(self) -> None:
        TorchDispatchMode.__init__(self)
        self.live = 0
        self.peak = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        # torch.tensor fills its storage outside the dispatcher and passes it to lift_fresh, where
        # it would look like a storage that existed before.
        operands = () if func is torch.ops.aten.lift_fresh.default else (args, kwargs)
        older = {id(storage) for storage in _storages(operands)} - self._sizes.keys()
        result = func(*args, **(kwargs or {}))
        for storage in _storages(result):
            if id(storage) not in older:
                self._follow(storage)
        self.peak = max(self.peak, self.live)
        return result

    def _follow(self, storage: torch.UntypedStorage) -> None:
        # The Python object of a storage lives as long as the storage, so its id identifies it.
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

"""Batches made ready in a thread of their own while the one before is computed on."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from torch import Tensor


Item = TypeVar("Item")
DEPTH = 2  # batches that are ready or being made


def prefetch(items: Iterable[Item], depth: int = DEPTH) -> Generator[Item]:
    """Yield `items` in their order, up to `depth` of them made beforehand in one other thread.

    What making one raises is raised in its place. The thread ends with the last item, or when
    the generator is closed.
    """
    source, end = iter(items), object()
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        made = deque(thread.submit(next, source, end) for _ in range(depth))
        try:
            while (item := made.popleft().result()) is not end:
                made.append(thread.submit(next, source, end))
                yield item  # type: ignore[misc]  # next gives an Item or `end`
        finally:
            for future in made:
                future.cancel()


class DeviceLoader:
    """Brings batches from the host's memory to a device, and counts the seconds of waiting.

    To a GPU they go from pinned memory, beside what it computes. There the host runs ahead, so
    that its waiting is more than the GPU's.
    """

    def __init__(self, device: str) -> None:
        self.device, self.waited_s, self.total_s = device, 0.0, 0.0

    @property
    def wait_share(self) -> float | None:
        """Share of the time of all passes spent waiting for a batch; None before the first."""
        return self.waited_s / self.total_s if self.total_s else None

    def __call__(self, batches: Iterable[tuple[Tensor, ...]]) -> Iterator[tuple[Tensor, ...]]:
        """One pass over `batches`, which are made in another thread and must draw nothing.

        What is drawn at random would come earlier than what a training step draws.
        """
        start = time.perf_counter()
        ready = prefetch(map(self._pinned, batches))
        try:
            while (batch := self._next(ready)) is not None:
                yield tuple(tensor.to(self.device, non_blocking=True) for tensor in batch)
        finally:
            ready.close()
            self.total_s += time.perf_counter() - start

    def _next(self, ready: Iterator[tuple[Tensor, ...]]) -> tuple[Tensor, ...] | None:
        asked = time.perf_counter()
        batch = next(ready, None)
        self.waited_s += time.perf_counter() - asked
        return batch

    def _pinned(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(tensor.pin_memory() for tensor in batch) if self.device == "cuda" else batch

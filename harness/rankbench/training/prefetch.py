"""Prepare batches in another thread while the model computes on the one before."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from torch import Tensor


Item = TypeVar("Item")
DEPTH = 2  # Batches that are ready or being prepared.


def prefetch(items: Iterable[Item], depth: int = DEPTH) -> Generator[Item]:
    """Yield `items` in order, preparing up to `depth` of them ahead in one other thread.

    An exception raised while an item is prepared is raised in the item's place. The thread ends
    with the last item, or when the generator is closed.

    Args:
        items: The items; their iterator runs in the other thread.
        depth: Number of items to prepare ahead, at least 1.

    Example:
        >>> list(prefetch(n * n for n in range(4)))
        [0, 1, 4, 9]
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
    """Moves batches from host memory to a device, and measures the time spent waiting for them.

    Batches are copied to a GPU from pinned memory while the GPU computes. The host runs ahead of
    the GPU there, so its waiting time is an upper bound of the GPU's.

    Args:
        device: `cpu` or `cuda`.
    """

    def __init__(self, device: str) -> None:
        self.device, self.waited_s, self.total_s = device, 0.0, 0.0

    @property
    def wait_share(self) -> float | None:
        """Share of the time of all passes that was spent waiting for a batch; None before any."""
        return self.waited_s / self.total_s if self.total_s else None

    def __call__(self, batches: Iterable[tuple[Tensor, ...]]) -> Iterator[tuple[Tensor, ...]]:
        """Yield the batches of one pass on the device.

        Args:
            batches: Tuples of tensors in host memory. They are prepared in another thread, ahead
                of the training steps, and must not draw from a random generator that a step also
                uses: the order of the draws would change.
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
        start = time.perf_counter()
        batch = next(ready, None)
        self.waited_s += time.perf_counter() - start
        return batch

    def _pinned(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(tensor.pin_memory() for tensor in batch) if self.device == "cuda" else batch

"""Batches made ahead: all of them, in order, no further than asked, and no thread left behind."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rankbench.training.prefetch import DeviceLoader, prefetch


@given(items=st.lists(st.integers()), depth=st.integers(1, 5))
def test_what_is_made_ahead_is_what_was_asked_for(items: list[int], depth: int) -> None:
    assert list(prefetch(items, depth)) == items


@given(total=st.integers(0, 8), taken=st.integers(0, 8), depth=st.integers(1, 3))
def test_no_more_than_the_depth_is_made_ahead(total: int, taken: int, depth: int) -> None:
    made: list[int] = []

    def source() -> Iterator[int]:
        for number in range(total):
            made.append(number)
            yield number

    found = prefetch(source(), depth)
    got = list(itertools.islice(found, taken))
    found.close()
    assert got == list(range(min(taken, total)))
    assert len(made) <= min(total, len(got) + depth)


def test_batches_are_made_in_another_thread_that_ends() -> None:
    def source() -> Iterator[str]:
        while True:
            yield threading.current_thread().name

    found = prefetch(source())
    name = next(found)
    assert name.startswith("ahead")
    assert name in {thread.name for thread in threading.enumerate()}
    found.close()
    assert name not in {thread.name for thread in threading.enumerate()}


def test_a_failure_comes_in_its_place_and_ends_the_thread() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ValueError("no such clip")

    found = prefetch(source())
    assert next(found) == 1
    with pytest.raises(ValueError, match="no such clip"):
        next(found)
    assert next(found, None) is None
    assert not [t for t in threading.enumerate() if t.name.startswith("ahead")]


def test_a_feed_hands_on_batches_and_counts_the_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    feed = DeviceLoader("cpu")
    assert feed.wait_share is None
    batches = [(torch.tensor([k]), torch.tensor(k)) for k in range(3)]
    for got, expected in zip(feed(batches), batches, strict=True):
        assert all(map(torch.equal, got, expected))
    # The clock ticks when it is read: at both ends of the pass and of 4 waits, the last in vain.
    assert (feed.waited_s, feed.total_s) == (4.0, 9.0)
    assert feed.wait_share == 4 / 9


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gets_its_batches_whole() -> None:
    batches = [(torch.full((64, 57600), k, dtype=torch.uint8), torch.tensor([k])) for k in range(9)]
    for number, (frames, label) in enumerate(DeviceLoader("cuda")(batches)):
        assert frames.is_cuda
        assert label.item() == number
        assert (frames == number).all().item()

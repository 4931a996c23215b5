"""The rule for repeats on a clock that is played, and peaks that are known to the byte."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rankbench.measure import timing as measure
from rankbench.measure.timing import TrainingCost, measure_training, peak_memory, time_call

KB = 1000  # bytes; a tensor of 250 float32 has one


class Clock:
    """A clock that moves only when a call says how long it took."""

    def __init__(self) -> None:
        self.now = 100.0
        self.calls = 0

    def __call__(self) -> float:
        return self.now

    def takes(self, *milliseconds: float, last: float | None = None) -> Callable[[], None]:
        """A call that takes each of `milliseconds` in turn, then `last`, or starts over."""
        times: Iterator[float] = iter(
            itertools.chain(milliseconds, itertools.repeat(last))
            if last is not None
            else itertools.cycle(milliseconds)
        )

        def call() -> None:
            self.calls += 1
            self.now += next(times) / 1e3

        return call


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    played = Clock()
    monkeypatch.setattr(measure, "perf_counter", played)
    return played


# Times.


def test_steady_times_end_at_the_least_repeats(clock: Clock) -> None:
    samples = time_call(clock.takes(4.0), device="cpu", warmup=3, min_repeats=10)
    assert samples == pytest.approx([4.0] * 10)
    assert clock.calls == 13


def test_warm_up_is_not_a_sample(clock: Clock) -> None:
    call = clock.takes(900.0, 50.0, 7.0, last=2.0)
    assert time_call(call, device="cpu", warmup=3, min_repeats=5) == pytest.approx([2.0] * 5)


def test_unsteady_times_go_on_until_their_quartiles_are_close(clock: Clock) -> None:
    # Ten samples, half of them 1.2: IQR / median is 0.18. With k more of 1.0 it falls below 0.1
    # once fewer than a quarter are 1.2, and the raw samples keep the slow ones.
    call = clock.takes(*[1.0, 1.2] * 5, last=1.0)
    samples = time_call(call, device="cpu", warmup=0, min_repeats=10, max_repeats=100)
    assert samples == pytest.approx([1.0, 1.2] * 5 + [1.0] * (len(samples) - 10))
    assert 18 <= len(samples) <= 22


def test_the_spread_is_measured_against_the_median(clock: Clock) -> None:
    # The same 0.2 ms of spread: 2 % of 10 ms is steady, 20 % of 1 ms is not.
    steady = time_call(clock.takes(10.0, 10.2), device="cpu", min_repeats=10, max_repeats=40)
    unsteady = time_call(clock.takes(1.0, 1.2), device="cpu", min_repeats=10, max_repeats=40)
    assert (len(steady), len(unsteady)) == (10, 40)


def test_a_few_outliers_do_not_count(clock: Clock) -> None:
    call = clock.takes(1.0, 1.0, 1.0, 1.0, 80.0)
    samples = time_call(call, device="cpu", warmup=0, min_repeats=10)
    assert len(samples) == 10
    assert max(samples) == pytest.approx(80.0)


def test_the_budget_ends_unsteady_times(clock: Clock) -> None:
    call = clock.takes(100.0, 300.0)
    samples = time_call(call, device="cpu", warmup=1, max_repeats=1000, budget_s=4.0)
    assert sum(samples) == pytest.approx(4000.0, abs=301.0)
    assert clock.now == pytest.approx(104.0, abs=0.301)


@pytest.mark.parametrize(("seconds", "calls"), [(60.0, 2), (2.0, 4), (1.1, 5)])
def test_a_slow_call_gets_at_least_one_sample(clock: Clock, seconds: float, calls: int) -> None:
    samples = time_call(clock.takes(1e3 * seconds), device="cpu", warmup=3, budget_s=5.0)
    assert clock.calls == calls
    assert samples == pytest.approx([1e3 * seconds] * max(1, calls - 3))


def test_a_cap_below_the_least_repeats_holds(clock: Clock) -> None:
    assert len(time_call(clock.takes(1.0), device="cpu", min_repeats=10, max_repeats=2)) == 2


def test_setup_runs_before_every_call_untimed(clock: Clock) -> None:
    order: list[str] = []
    tick = clock.takes(2.0)

    def setup() -> None:
        order.append("setup")
        clock.now += 0.5

    def call() -> None:
        order.append("call")
        tick()

    samples = time_call(call, device="cpu", warmup=1, min_repeats=3, setup=setup)
    assert samples == pytest.approx([2.0] * 3)
    assert order == ["setup", "call"] * 4


def test_what_a_call_returns_is_freed_after_its_clock_stopped(clock: Clock) -> None:
    class Slow:
        def __del__(self) -> None:
            clock.now += 1.0

    tick = clock.takes(2.0)

    def call() -> Slow:
        tick()
        return Slow()

    samples = time_call(call, device="cpu", warmup=0, min_repeats=2, max_repeats=2)
    assert samples == pytest.approx([2.0, 2.0])


def test_no_collection_of_garbage_is_timed(clock: Clock) -> None:
    seen: list[bool] = []
    between: list[bool] = []
    time_call(
        lambda: seen.append(gc.isenabled()),
        device="cpu",
        max_repeats=2,
        setup=lambda: between.append(gc.isenabled()),
    )
    assert set(seen) == {False}
    assert set(between) == {True}
    with pytest.raises(ZeroDivisionError):
        time_call(lambda: 1 / 0, device="cpu")
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"device": "gpu"}, "^device must be one of: cpu, cuda; got 'gpu'"),
        ({"warmup": -1}, "^warmup must be an integer of at least 0, got -1$"),
        ({"warmup": 1.5}, "^warmup must be an integer of at least 0, got 1.5$"),
        ({"min_repeats": 0}, "^min_repeats must be a positive integer, got 0$"),
        ({"max_repeats": 0}, "^max_repeats must be a positive integer, got 0$"),
        ({"budget_s": 0.0}, r"^budget_s must be a number in \(0, 86400\], got 0.0$"),
    ],
)
def test_limits_out_of_range_are_refused(limits: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        time_call(lambda: None, **{"device": "cpu", **limits})


# Peaks.


def in_bytes(megabytes: float) -> int:
    return round(megabytes * measure.MB)


def peak_bytes(call: Callable[[], object]) -> int:
    return in_bytes(peak_memory(call, "cpu"))


@pytest.fixture
def old() -> Tensor:
    return torch.ones(250)


def chain(x: Tensor) -> Tensor:
    y = x + x  # 1 KB, alive until z is there
    z = y * 2  # 2 KB
    del y  # 1 KB
    return z.exp()  # 2 KB


def temporaries(x: Tensor) -> None:
    for _ in range(5):
        x + x


def views(x: Tensor) -> Tensor:
    return x.view(10, 25).t()[3:7].expand(2, 4, 10).detach()


def views_of_new(x: Tensor) -> list[Tensor]:
    y = x + x
    return [y, y.view(10, 25), y[:5], y.detach()]


def in_place(x: Tensor) -> Tensor:
    return x.add_(1).mul_(2)


def partial_view_keeps_all(x: Tensor) -> Tensor:
    first = (x + x)[:1]  # the whole KB lives as long as one number of it
    return first.new_ones(250)


def several_results(x: Tensor) -> Any:
    return torch.topk(x, 250)  # 1 KB of values, 2 KB of int64 indices


def out_argument(x: Tensor) -> Tensor:
    return torch.add(x, x, out=torch.empty(0))


def grown(x: Tensor) -> Tensor:
    return (x + x).resize_(750)


def made_from_a_list(x: Tensor) -> Tensor:
    return torch.tensor([1.0] * 250)


def without_tensors(x: Tensor) -> int:
    return sum(range(1000))


@pytest.mark.parametrize(
    ("call", "kilobytes"),
    [
        (chain, 2),
        (temporaries, 1),
        (views, 0),
        (views_of_new, 1),
        (in_place, 0),
        (partial_view_keeps_all, 2),
        (several_results, 3),
        (out_argument, 1),
        (grown, 3),
        (made_from_a_list, 1),
        (without_tensors, 0),
    ],
)
def test_peaks_are_exact(old: Tensor, call: Callable[[Tensor], Any], kilobytes: int) -> None:
    for _ in range(2):  # nothing remembered from the first time
        assert peak_bytes(lambda: call(old)) == kilobytes * KB


def test_what_was_alive_before_is_not_counted_nor_taken_off() -> None:
    held = [torch.ones(2500) for _ in range(3)]

    def call() -> None:
        held.clear()
        torch.ones(250) + 1

    assert peak_bytes(call) == 2 * KB


def test_what_lives_on_after_a_call_is_not_counted_by_the_next(old: Tensor) -> None:
    kept: list[Tensor] = []
    for _ in range(3):
        assert peak_bytes(lambda: kept.append(old + 1)) == KB


def test_forward_counts_what_autograd_saves() -> None:
    w = torch.ones(250, requires_grad=True)

    def squares() -> Tensor:
        y = w
        for _ in range(6):
            y = y * y  # each result is saved for the gradient of the next
        return y

    assert peak_bytes(squares) == 6 * KB
    with torch.no_grad():
        assert peak_bytes(squares) == 2 * KB
    # The exponential saves its result; its triple and the sum are beside it.
    assert peak_bytes(lambda: (w.exp() * 3).sum()) == 2 * KB + 4


def test_backward_is_seen_and_its_gradients_counted() -> None:
    w = torch.ones(250, requires_grad=True)
    loss = (w * w).sum()
    # The seed (4 bytes), its product with either factor, the sum of both: the gradient.
    assert peak_bytes(loss.backward) == 3 * KB + 4
    assert w.grad is not None
    loss = (w * 2).sum()
    # One product, added to the gradient that was there before.
    assert peak_bytes(loss.backward) == KB + 4


def test_a_linear_map_forward_and_backward() -> None:
    rows, into, out = 50, 30, 20
    layer = nn.Linear(into, out, bias=False)
    x = torch.ones(rows, into)
    forward = peak_bytes(lambda: layer(x).sum())
    assert forward == 4 * (rows * out + 1)
    both = peak_bytes(lambda: layer(x).sum().backward())
    # The sum and its seed; the output is gone by then. The expanded seed is a view.
    assert both == max(4 * (rows * out + 1), 4 * (into * out + 2))


def test_the_mode_ends_with_the_call(old: Tensor) -> None:
    with pytest.raises(ZeroDivisionError):
        peak_memory(lambda: 1 / 0, "cpu")
    assert peak_bytes(lambda: old + 1) == KB
    assert torch.utils._python_dispatch._get_current_dispatch_mode() is None


def test_sparse_tensors_do_not_break_a_measurement(old: Tensor) -> None:
    dense = torch.eye(250)
    assert peak_bytes(lambda: dense.to_sparse() @ old.unsqueeze(1)) >= KB


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^device must be one of: cpu, cuda; got 'tpu'"):
        peak_memory(lambda: None, "tpu")


# A training step.


class Toy:
    """A model whose forward, backward and update take 1, 10 and 100 ms on the played clock."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.weight = nn.Parameter(torch.ones(250))
        self.optimizer = torch.optim.Adam([self.weight])
        self.weight.register_hook(self.backward)
        self.optimizer.register_step_post_hook(lambda *_: self.passes(100.0))

    def passes(self, milliseconds: float) -> None:
        self.clock.now += milliseconds / 1e3

    def backward(self, gradient: Tensor) -> None:
        assert self.weight.grad is None  # a gradient is made, not added to an older one
        self.passes(10.0)

    def forward(self) -> Tensor:
        assert torch.is_grad_enabled()
        self.passes(1.0)
        return (self.weight * self.weight).sum()


def cost_of(toy: Toy) -> TrainingCost:
    return measure_training(toy.forward, toy.optimizer, device="cpu", warmup=1, min_repeats=4)


def test_phases_are_timed_apart(clock: Clock) -> None:
    times = cost_of(Toy(clock)).times_ms
    assert list(times) == ["forward", "backward", "step"]
    assert times["forward"] == pytest.approx([1.0] * 4)
    assert times["backward"] == pytest.approx([10.0] * 4)
    assert times["step"] == pytest.approx([111.0] * 4)


def test_phases_have_their_peaks(clock: Clock) -> None:
    toy = Toy(clock)
    peaks = cost_of(toy).peak_mb
    assert list(peaks) == ["forward", "backward", "step"]
    # The product and its sum; then two products and the gradient, with the sum and its seed.
    assert in_bytes(peaks["forward"]) == KB + 4
    assert in_bytes(peaks["backward"]) == 3 * KB + 8
    # Adam holds the gradient, a square root and its quotient: no more than backward did.
    assert in_bytes(peaks["step"]) == 3 * KB + 8
    assert toy.weight.grad is None


def test_a_step_counts_the_temporaries_of_the_optimiser() -> None:
    # The gradient of a sum is a view of one number: Adam's update is all there is.
    weight = nn.Parameter(torch.ones(250))
    optimizer = torch.optim.Adam([weight], foreach=False)
    cost = measure_training(
        lambda: (weight * 2).sum(), optimizer, device="cpu", warmup=1, max_repeats=1
    )
    assert in_bytes(cost.peak_mb["backward"]) == KB + 8
    # The gradient, the root of the second moment, and the quotient of it.
    assert in_bytes(cost.peak_mb["step"]) == 3 * KB


def test_limits_reach_every_phase(clock: Clock) -> None:
    toy = Toy(clock)
    cost = measure_training(toy.forward, toy.optimizer, device="cpu", warmup=0, max_repeats=3)
    assert [len(times) for times in cost.times_ms.values()] == [3, 3, 3]
    with pytest.raises(ValueError, match=r"^max_repeats must be a positive integer, got 0$"):
        measure_training(toy.forward, toy.optimizer, device="cpu", max_repeats=0)


# A GPU, played by its interface where there is none.


def test_a_gpu_is_timed_by_its_events(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    log: list[str] = []

    class Event:
        def __init__(self, *, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            log.append("record")
            self.at = clock.now

        def synchronize(self) -> None:
            log.append("wait")

        def elapsed_time(self, end: Event) -> float:
            return 1e3 * (end.at - self.at)

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: log.append("synchronize"))
    tick = clock.takes(3.0)

    def call() -> None:
        log.append("call")
        tick()

    samples = time_call(call, device="cuda", warmup=0, min_repeats=1, max_repeats=1)
    assert samples == pytest.approx([3.0])
    assert log == ["synchronize", "record", "call", "record", "wait"]


def test_a_gpus_peak_is_its_allocators(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = SimpleNamespace(now=5_000_000, peak=9_000_000)

    def call() -> None:
        memory.now += 2_000_000
        memory.peak = max(memory.peak, memory.now)
        memory.now -= 1_000_000

    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: memory.now)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: memory.peak)
    monkeypatch.setattr(
        torch.cuda, "reset_peak_memory_stats", lambda: setattr(memory, "peak", memory.now)
    )
    assert peak_memory(call, "cuda") == 2.0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu() -> None:
    model = nn.Linear(1024, 1024, device="cuda")
    x = torch.ones(512, 1024, device="cuda")
    optimizer = torch.optim.Adam(model.parameters())
    cost = measure_training(lambda: model(x).square().mean(), optimizer, device="cuda")
    assert all(min(times) > 0 for times in cost.times_ms.values())
    output, gradients = 4 * 512 * 1024 / measure.MB, 4 * 1024 * 1025 / measure.MB
    assert output <= cost.peak_mb["forward"] <= 4 * output
    assert gradients <= cost.peak_mb["backward"] <= 4 * (output + gradients)
    assert cost.peak_mb["backward"] <= cost.peak_mb["step"]

"""Runs that time have the machine alone: beside threads and beside other processes."""

from __future__ import annotations

import fcntl
import multiprocessing
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from rankbench.engine.exclusive import _lock_path, hold_machine
from rankbench.engine.runner import StudyRun
from rankbench.tasks import TASKS
from rankbench.tasks.profile import Profile
from tests.engine.test_study import Silent, make_study, probe_task
from tests.helpers.probe import Probe
from tests.helpers.processes import HANG_S, spawn, wait_until

__all__ = ["probe_task"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Noticing(threading.Event):
    """An event that notices being waited for, as `stop` is once the machine is found locked."""

    def __init__(self) -> None:
        super().__init__()
        self.waited = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.set()
        return super().wait(timeout)


class Visitor:
    """A thread that enters the machine, and leaves when told."""

    def __init__(self, *, alone: bool) -> None:
        self.entered, self.leave, self.stop = threading.Event(), threading.Event(), Noticing()
        self.thread = threading.Thread(target=self._visit, args=(alone,), daemon=True)
        self.thread.start()

    def _visit(self, alone: bool) -> None:
        with hold_machine(alone=alone, stop=self.stop):
            self.entered.set()
            self.leave.wait(HANG_S)

    def waits(self) -> bool:
        """Whether it found the machine locked, and has not entered since."""
        return self.stop.waited.wait(HANG_S) and not self.entered.is_set()

    def left(self) -> None:
        self.leave.set()
        self.thread.join(HANG_S)
        assert not self.thread.is_alive()


def is_gate_held() -> bool:
    """Whether somebody waits for the room."""
    with _lock_path().with_suffix(".gate").open("a+") as gate:
        try:
            fcntl.flock(gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_ordinary_runs_share_the_machine() -> None:
    visitors = [Visitor(alone=False) for _ in range(3)]
    assert all(visitor.entered.wait(HANG_S) for visitor in visitors)
    for visitor in visitors:
        visitor.left()


def test_one_that_is_alone_waits_for_others_and_later_ones_for_it() -> None:
    ordinary = Visitor(alone=False)
    assert ordinary.entered.wait(HANG_S)
    alone = Visitor(alone=True)
    assert alone.waits()
    assert is_gate_held()
    late = Visitor(alone=False)  # it would fit beside the first, and comes after the second
    assert late.waits()
    ordinary.left()
    assert alone.entered.wait(HANG_S)
    late.stop.waited.clear()
    assert late.waits()
    alone.left()
    assert late.entered.wait(HANG_S)
    late.left()


def test_a_stop_ends_the_wait() -> None:
    alone = Visitor(alone=True)
    assert alone.entered.wait(HANG_S)
    waiting = Visitor(alone=True)
    waiting.stop.set()
    assert waiting.entered.wait(HANG_S)  # the run that follows sees the stop itself
    waiting.left()
    alone.left()


def hold(alone: bool, entered: Event) -> None:
    with hold_machine(alone=alone, stop=threading.Event()):
        entered.set()
        time.sleep(3600)


@pytest.mark.parametrize("theirs", [True, False])
def test_another_process_is_waited_for_until_it_is_gone(theirs: bool) -> None:
    entered = multiprocessing.get_context("spawn").Event()
    other = spawn(hold, theirs, entered)
    assert entered.wait(HANG_S)
    ours = Visitor(alone=not theirs)
    assert ours.waits()
    other.kill()
    other.join()
    assert ours.entered.wait(HANG_S)
    ours.left()


def test_ordinary_runs_go_on_without_a_lock_and_timings_say_why(cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    with ExitStack() as stack:
        stack.enter_context(hold_machine(alone=False, stop=threading.Event()))
        with pytest.raises(OSError, match="cache"):
            stack.enter_context(hold_machine(alone=True, stop=threading.Event()))


class Timing(Probe):
    def times(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("task", "alone", "together"),
    [(Timing, "auto", False), (Timing, False, True), (Probe, "auto", True), (Probe, True, False)],
)
def test_a_study_keeps_runs_that_time_apart(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    task: type[Probe],
    alone: object,
    together: bool,
) -> None:
    monkeypatch.setitem(TASKS, "probe", task)
    space = {"task": {"value": (1, 2, 3, 4)}}
    execution = StudyRun(make_study(tmp_path, space, workers=2, alone=alone))
    execution.state.stop = stop = Noticing()
    at_a_time = Most(until=lambda: not together and stop.waited.is_set())
    monkeypatch.setattr("rankbench.engine.worker.run_in_child", at_a_time.wrap())
    execution.run(Silent())
    assert at_a_time.most == (2 if together else 1)


class Most:
    """Counts how many calls of the engine there are at a time.

    The first lasts until there is a second one or `until` holds.
    """

    def __init__(self, until: Callable[[], bool]) -> None:
        self.until = until
        self.now = self.most = 0
        self.lock = threading.Lock()

    def wrap(self) -> object:
        from rankbench.engine.child import run_in_child

        def counted(*arguments: object, **settings: object) -> object:
            with self.lock:
                self.now += 1
                self.most = max(self.most, self.now)
            wait_until(lambda: self.most > 1 or self.until())
            try:
                return run_in_child(*arguments, **settings)  # type: ignore[arg-type]
            finally:
                with self.lock:
                    self.now -= 1

        return counted


def test_a_profile_is_alone_where_it_times() -> None:
    assert Profile().times()
    assert not Profile(timing=False).times()

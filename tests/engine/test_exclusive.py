"""Runs that time have the machine alone: beside threads and beside other processes."""

from __future__ import annotations

import multiprocessing
import threading
import time
from contextlib import ExitStack
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from rankbench.engine.exclusive import hold_machine
from rankbench.tasks import TASKS
from rankbench.tasks.profile import Profile
from tests.engine.test_study import execute, make_study, probe_task
from tests.helpers.probe import Probe

__all__ = ["probe_task"]
_processes = multiprocessing.get_context("spawn")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Visitor:
    """A thread that enters the machine, and leaves when told."""

    def __init__(self, *, alone: bool) -> None:
        self.entered, self.leave, self.stop = (threading.Event() for _ in range(3))
        self.thread = threading.Thread(target=self._visit, args=(alone,), daemon=True)
        self.thread.start()

    def _visit(self, alone: bool) -> None:
        with hold_machine(alone=alone, stop=self.stop):
            self.entered.set()
            self.leave.wait(60)

    def left(self) -> None:
        self.leave.set()
        self.thread.join(60)
        assert not self.thread.is_alive()


def test_ordinary_runs_share_the_machine() -> None:
    visitors = [Visitor(alone=False) for _ in range(3)]
    assert all(visitor.entered.wait(60) for visitor in visitors)
    for visitor in visitors:
        visitor.left()


def test_one_that_is_alone_waits_for_others_and_later_ones_for_it() -> None:
    ordinary = Visitor(alone=False)
    assert ordinary.entered.wait(60)
    alone = Visitor(alone=True)
    assert not alone.entered.wait(0.3)
    late = Visitor(alone=False)  # it would fit beside the first, and comes after the second
    assert not late.entered.wait(0.3)
    ordinary.left()
    assert alone.entered.wait(60)
    assert not late.entered.wait(0.3)
    alone.left()
    assert late.entered.wait(60)
    late.left()


def test_a_stop_ends_the_wait() -> None:
    alone = Visitor(alone=True)
    assert alone.entered.wait(60)
    waiting = Visitor(alone=True)
    waiting.stop.set()
    assert waiting.entered.wait(60)  # the run that follows sees the stop itself
    waiting.left()
    alone.left()


def hold(alone: bool, entered: Event) -> None:
    with hold_machine(alone=alone, stop=threading.Event()):
        entered.set()
        time.sleep(600)


@pytest.mark.parametrize("theirs", [True, False])
def test_another_process_is_waited_for_until_it_is_gone(theirs: bool) -> None:
    entered = _processes.Event()
    other = _processes.Process(target=hold, args=(theirs, entered), daemon=True)
    other.start()
    assert entered.wait(60)
    ours = Visitor(alone=not theirs)
    assert not ours.entered.wait(0.3)
    other.kill()
    other.join()
    assert ours.entered.wait(60)
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
    at_a_time = Most()
    space = {"task": {"value": (1, 2, 3, 4), "sleep_s": (0.3,)}}
    study = make_study(tmp_path, space, workers=2, alone=alone)
    monkeypatch.setattr("rankbench.engine.worker.run_in_child", at_a_time.wrap())
    execute(study)
    assert at_a_time.most == (2 if together else 1)


class Most:
    """Counts how many calls of the engine there are at a time."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.lock = threading.Lock()

    def wrap(self) -> object:
        from rankbench.engine.child import run_in_child

        def counted(*arguments: object, **settings: object) -> object:
            with self.lock:
                self.now += 1
                self.most = max(self.most, self.now)
            try:
                return run_in_child(*arguments, **settings)  # type: ignore[arg-type]
            finally:
                with self.lock:
                    self.now -= 1

        return counted


def test_a_profile_is_alone_where_it_times() -> None:
    assert Profile().times()
    assert not Profile(timing=False).times()

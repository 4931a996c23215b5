"""A run in a child process: every way it can end becomes a status with a reason."""

from __future__ import annotations

import threading

import pytest

from harness.engine import run_in_child
from harness.run import Outcome
from harness.tasks.base import Context
from tests.probe import probe_point


def run(how: str, *, time_limit_s: float = 60.0, stop: threading.Event | None = None) -> Outcome:
    (outcome,) = run_in_child(
        probe_point(how=how),
        [Context(seed=1)],
        time_limit_s=time_limit_s,
        stop=stop or threading.Event(),
    )
    return outcome


@pytest.mark.parametrize(
    ("how", "status", "error"),
    [
        ("done", "done", None),
        ("error", "error", "the probe was told to fail"),
        ("bug", "error", "KeyError: 'x'"),
        ("diverged", "diverged", "training loss is nan in epoch 2"),
        ("memory", "out_of_memory", "MemoryError: no more"),
        ("exit", "killed", "the process ended without a result, with exit code 7"),
        ("kill", "killed", "the process ended without a result, by signal 9 (SIGKILL)"),
    ],
)
def test_every_end_has_its_status_and_keeps_what_was_measured(
    how: str, status: str, error: str | None
) -> None:
    outcome = run(how)
    assert (outcome.status, outcome.error) == (status, error)
    assert outcome.tables == {"epochs": [{"epoch": 1, "train_loss": 0.5}]}
    assert outcome.facts["epochs"] == 1
    assert outcome.facts.get("rmse") == (0.25 if status == "done" else None)
    assert (outcome.traceback is not None) == (status in ("error", "out_of_memory"))


def run_together(how: str, *, time_limit_s: float = 60.0) -> list[Outcome]:
    return run_in_child(
        probe_point(how=how),
        [Context(seed=seed) for seed in (1, 2, 3)],
        time_limit_s=time_limit_s,
        stop=threading.Event(),
    )


@pytest.mark.parametrize(
    ("how", "statuses", "rmse"),
    [
        ("done", ["done"] * 3, [0.25, 0.5, 0.75]),
        ("odd", ["diverged", "done", "diverged"], [None, 0.5, None]),
        ("bug", ["error"] * 3, [None] * 3),
        ("memory", ["out_of_memory"] * 3, [None] * 3),
        ("kill", ["killed"] * 3, [None] * 3),
        ("odd, then forever", ["diverged", "timeout", "timeout"], [None] * 3),
    ],
)
def test_replicates_end_each_with_its_own_status(
    how: str, statuses: list[str], rmse: list[float | None]
) -> None:
    outcomes = run_together(how, time_limit_s=2.0 if "forever" in how else 60.0)
    assert [outcome.status for outcome in outcomes] == statuses
    assert [outcome.facts.get("rmse") for outcome in outcomes] == rmse
    assert outcomes[0].tables == {"epochs": [{"epoch": 1, "train_loss": 0.5}]}
    assert all((outcome.error is None) == (outcome.status == "done") for outcome in outcomes)


def test_a_run_over_its_time_is_killed() -> None:
    outcome = run("forever", time_limit_s=1.0)
    assert outcome.status == "timeout"
    assert outcome.error == "did not end within time_limit_s 1"
    assert outcome.facts["epochs"] == 1


def test_a_stopped_run_is_interrupted() -> None:
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    outcome = run("forever", stop=stop)
    assert outcome.status == "interrupted"
    assert outcome.facts["epochs"] == 1


def test_rows_are_seen_as_they_come() -> None:
    seen: list[str] = []
    run_in_child(
        probe_point(),
        [Context(seed=0)],
        time_limit_s=60.0,
        stop=threading.Event(),
        on_row=lambda table, row: seen.append(table),
    )
    assert seen == ["epochs", "runs", "runs"]

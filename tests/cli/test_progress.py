"""What a person is told while a study runs: share done, time left, failures."""

from __future__ import annotations

import io
import math
import time

import pytest
from rich.console import Console

from rankbench.cli.progress import StudyProgress
from rankbench.engine.queue import enumerate_grid
from rankbench.study.config import load_study
from rankbench.study.estimate import RuntimeModel, estimate
from tests.helpers.probe import probe_point

ROW = {"decomposition": "dense", "learner": None, "seed": 0, "num_params": 16, "rmse": 0.25}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that `time.monotonic` tells, to be set by a test."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_time_left_follows_the_estimated_work(clock: list[float]) -> None:
    short, long = probe_point(value=1), probe_point(value=2)
    weights = {short.point_id: 1.0, long.point_id: 9.0}
    screen = io.StringIO()
    progress = StudyProgress(Console(file=screen, width=100), "probing", 2, weights, 10.0)
    assert progress.left() == "estimating"
    progress.on_run_started(0, short, 0)
    clock[0] += 6.0
    progress.on_run_finished(0, {**ROW, "status": "done"})
    # One tenth of the work took 6 seconds.
    assert progress.left() == "54.0 s left"
    progress.on_run_started(0, long, 0)
    clock[0] += 54.0
    progress.on_run_finished(0, {**ROW, "status": "done"})
    assert progress.left() == "0.0 s left"
    assert screen.getvalue().splitlines() == [
        "[1/2] dense seed 0: rmse 0.25 (54.0 s left)",
        "[2/2] dense seed 0: rmse 0.25 (0.0 s left)",
    ]


def test_runs_trained_together_count_each(clock: list[float]) -> None:
    point = probe_point()
    screen = io.StringIO()
    progress = StudyProgress(Console(file=screen, width=100), "probing", 4, {}, 4.0)
    for seed in range(3):
        progress.on_run_started(0, point, seed)
    clock[0] += 30.0
    for seed in range(3):
        progress.on_run_finished(0, {**ROW, "status": "done", "seed": seed})
    assert progress.left() == "10.0 s left"
    progress.on_run_started(0, point, 3)
    progress.on_run_finished(0, {**ROW, "status": "done", "seed": 3})
    assert screen.getvalue().splitlines()[-1] == "[4/4] dense seed 3: rmse 0.25 (0.0 s left)"


def test_a_failed_run_is_told_at_once_with_its_reason(clock: list[float]) -> None:
    screen = io.StringIO()
    progress = StudyProgress(Console(file=screen, width=200), "probing", 9, {}, 9.0)
    for _ in range(3):
        progress.on_run_started(0, probe_point(), 0)
        progress.on_run_finished(0, {**ROW, "status": "error", "error": "[red]no such column"})
    lines = screen.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("[1/9] dense seed 0: error: [red]no such column")


def test_an_estimate_adds_flops_and_calls() -> None:
    point = probe_point()  # 1 FLOP and 1 call
    assert RuntimeModel(flops_per_s=2.0, seconds_per_call=3.0).seconds(point) == pytest.approx(
        0.3 + 3.5
    )
    together = RuntimeModel(flops_per_s=2.0, seconds_per_call=3.0).seconds(point, together=10)
    assert together == pytest.approx(0.5 + 0.33)
    assert estimate([point], threads=1).keys() == {point.point_id}


def test_an_estimate_counts_what_happens_to_the_input_of_a_step() -> None:
    overrides = ["task.frames=frames.parquet", "task.time_steps=6", "training.epochs=2"]
    bare, dropping = (
        next(iter(enumerate_grid(load_study("ucf11", [*overrides, rate])).points.values()))
        for rate in ("training.input_dropout=0", "training.input_dropout=0.25")
    )
    per_value = RuntimeModel(flops_per_s=math.inf, seconds_per_call=0.0, seconds_per_value=1.0)
    per_mask = RuntimeModel(flops_per_s=math.inf, seconds_per_call=0.0, seconds_per_mask=1.0)
    values = 2 * 80 * 16 * 6 * 57600  # 80 batches of 16 clips of 6 frames, twice
    assert per_value.seconds(bare) == pytest.approx(1.25 * values)  # and a fourth in evaluation
    assert per_mask.seconds(bare) == pytest.approx(0.3)
    assert per_mask.seconds(dropping) == pytest.approx(values)

"""What a person is told while a study runs: share done, time left, failures."""

from __future__ import annotations

import io
import math
import time
from pathlib import Path

import pytest
from rich.console import Console

from rankbench.cli.show.running import running_table
from rankbench.cli.show.study_progress import StudyProgress
from rankbench.common.terminal import Screen
from rankbench.engine.queue import enumerate_grid
from rankbench.study.config import load_study
from rankbench.study.estimate import RuntimeModel, estimate
from rankbench.study.in_progress import runs_in_progress
from rankbench.tasks.base import Point
from tests.helpers.probe import probe_point


def trained_point() -> Point:
    """A point that trains 10 epochs."""
    points = enumerate_grid(load_study("smoke", ["training.epochs=10"])).points.values()
    return next(point for point in points if point.layer.name == "low_rank")


ROW = {"decomposition": "dense", "learner": None, "seed": 0, "num_params": 16, "rmse": 0.25}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that `time.monotonic` tells, to be set by a test."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_time_left_follows_the_estimated_work(clock: list[float], tmp_path: Path) -> None:
    short, long = probe_point(value=1), probe_point(value=2)
    weights = {short.point_id: 1.0, long.point_id: 9.0}
    screen = io.StringIO()
    progress = StudyProgress(Console(file=screen, width=100), "probing", tmp_path, 2, weights, 10.0)
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


def test_runs_trained_together_count_each(clock: list[float], tmp_path: Path) -> None:
    point = probe_point()
    screen = io.StringIO()
    progress = StudyProgress(Console(file=screen, width=100), "probing", tmp_path, 4, {}, 4.0)
    for seed in range(3):
        progress.on_run_started(0, point, seed)
    clock[0] += 30.0
    for seed in range(3):
        progress.on_run_finished(0, {**ROW, "status": "done", "seed": seed})
    assert progress.left() == "10.0 s left"
    progress.on_run_started(0, point, 3)
    progress.on_run_finished(0, {**ROW, "status": "done", "seed": 3})
    assert screen.getvalue().splitlines()[-1] == "[4/4] dense seed 3: rmse 0.25 (0.0 s left)"


def test_a_failed_run_is_told_at_once_with_its_reason(clock: list[float], tmp_path: Path) -> None:
    screen = io.StringIO()
    progress = StudyProgress(Console(file=screen, width=200), "probing", tmp_path, 9, {}, 9.0)
    for _ in range(3):
        progress.on_run_started(0, probe_point(), 0)
        progress.on_run_finished(0, {**ROW, "status": "error", "error": "[red]no such column"})
    lines = screen.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("[1/9] dense seed 0: error: [red]no such column")


def test_without_a_terminal_a_line_a_minute_says_how_far_each_run_is(
    clock: list[float], tmp_path: Path
) -> None:
    screen = io.StringIO()
    progress = StudyProgress(Console(file=screen, width=200), "probing", tmp_path, 9, {}, 9.0)
    point = trained_point()
    for worker in (0, 1):
        progress.on_run_started(worker, point, worker)
    progress.on_row(1, "epochs", {"epoch": 3, "train_loss": 0.25, "rmse": 0.5})
    clock[0] += 59.0
    progress.tick()
    assert screen.getvalue() == ""
    clock[0] += 2.0
    progress.tick()
    progress.tick()
    first, second = screen.getvalue().splitlines()
    assert first == "[0/9] low_rank r=2 seed 0: epoch 0/10"
    assert second.startswith("[0/9] low_rank r=2 seed 1: epoch 3/10, loss 0.25, rmse 0.5, ")
    assert second.endswith(" s left")
    clock[0] += 61.0
    progress.tick()
    assert screen.getvalue().count("\n") == 4


def test_on_a_terminal_there_are_bars_and_no_lines(clock: list[float], tmp_path: Path) -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=200, force_terminal=True)
    progress = StudyProgress(console, "probing", tmp_path, 9, {}, 9.0)
    progress.on_run_started(0, trained_point(), 0)
    clock[0] += 61.0
    progress.tick()
    assert screen.getvalue() == ""


def test_the_runs_of_a_study_are_seen_while_it_is_watched(tmp_path: Path) -> None:
    progress = StudyProgress(Console(file=io.StringIO()), "probing", tmp_path, 1, {}, 1.0)
    with progress:
        progress.on_run_started(0, trained_point(), 7)
        progress.on_row(0, "epochs", {"epoch": 4, "train_loss": 0.5, "rmse": 0.25})
        progress._recorder.write()
        (run,) = runs_in_progress(tmp_path)
        assert (run.seeds, run.epoch, run.epochs) == ([7], 4, 10)
        console = Screen(width=140)
        with console.capture() as capture:
            console.print(running_table([run]))
        (line,) = (line for line in capture.get().splitlines() if "low_rank r=2 seed 7" in line)
        assert "4/10" in line
        assert "rmse 0.25" in line
    assert runs_in_progress(tmp_path) == []


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

"""Runs in progress: what other processes see of them, and what a crash leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rankbench.study import in_progress
from rankbench.study.in_progress import Recorder, RunInProgress, remove_stale, runs_in_progress
from tests.helpers.probe import probe_point


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that `time.time` tells, to be set by a test."""
    now = [1000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


def run(**facts: Any) -> RunInProgress:
    known = {"host": "h", "pid": 1, "worker": 0, "point_id": "p", "label": "dense", "seeds": [0]}
    return RunInProgress(**{**known, "started_at": 1000.0, "epochs": 10, **facts})


def test_the_time_left_follows_the_pace_of_the_epochs(clock: list[float]) -> None:
    one = run()
    assert one.left_s is None
    clock[0] = 1030.0  # with what is done before the first epoch
    one.add({"epoch": 1, "train_loss": 2.0})
    assert one.left_s == 270.0
    clock[0] = 1050.0
    one.add({"epoch": 3, "train_loss": 1.0, "accuracy": 0.5})
    assert one.left_s == 70.0  # 10 s for each of 7 epochs
    clock[0] = 1060.0
    assert one.left_s == 60.0
    assert (one.epoch, one.loss, one.metric, one.value) == (3, 1.0, "accuracy", 0.5)
    one.add({"epoch": 4, "train_loss": 1.0})
    assert (one.metric, one.value) == ("accuracy", 0.5)


def test_a_training_that_continues_is_timed_from_where_it_continued(clock: list[float]) -> None:
    one = run(epochs=100)
    clock[0] = 1010.0
    one.add({"epoch": 91, "train_loss": 1.0})
    clock[0] = 1020.0
    one.add({"epoch": 92, "train_loss": 1.0})
    assert one.left_s == 80.0


def test_others_see_the_runs_of_a_process_until_it_ends(tmp_path: Path) -> None:
    point = probe_point()
    with Recorder(tmp_path) as recorder:
        for seed in (3, 4):
            recorder.on_run_started(1, point, seed)
        recorder.on_row(1, "samples", {})
        recorder.on_row(1, "epochs", {"epoch": 2, "train_loss": float("nan"), "rmse": 0.5})
        recorder.write()
        (seen,) = runs_in_progress(tmp_path)
        assert (seen.worker, seen.seeds, seen.epoch, seen.pid) == (1, [3, 4], 2, os.getpid())
        assert (seen.metric, seen.value) == ("rmse", 0.5)
        recorder.on_run_finished(1, {"seed": 3})
        assert recorder.run_of(1).seeds == [4]
        recorder.on_run_finished(1, {"seed": 4})
        recorder.write()
        assert runs_in_progress(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_leaves_is_not_believed_and_is_removed(tmp_path: Path) -> None:
    program = (
        "import os, sys, signal\nfrom pathlib import Path\n"
        "from rankbench.study.in_progress import Recorder\n"
        "from tests.helpers.probe import probe_point\n"
        "recorder = Recorder(Path(sys.argv[1]))\n"
        "recorder.on_run_started(0, probe_point(), 0)\nrecorder.write()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert done.returncode == -9
    (left,) = tmp_path.glob(".running-*.json")
    assert json.loads(left.read_text())["runs"]
    assert runs_in_progress(tmp_path) == []
    remove_stale(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_has_the_number_of_a_dead_one_is_not_taken_for_it(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.on_run_started(0, probe_point(), 0)
    recorder.write()
    (path,) = tmp_path.iterdir()
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "process_started_at": 1.0}))
    assert runs_in_progress(tmp_path) == []


def test_another_machine_counts_as_long_as_it_gives_signs_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(tmp_path)
    recorder.on_run_started(0, probe_point(), 0)
    recorder.write()
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    assert len(runs_in_progress(tmp_path)) == 1
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + in_progress.STALE_S + 1)
    assert runs_in_progress(tmp_path) == []


def test_a_file_that_is_no_record_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".running-x-1.json").write_text("{")
    (tmp_path / ".running-x-2.json").write_text("{}")
    assert runs_in_progress(tmp_path) == []


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    with Recorder(tmp_path / "nowhere") as recorder:
        recorder.on_run_started(0, probe_point(), 0)
        recorder.write()
    assert not (tmp_path / "nowhere").exists()

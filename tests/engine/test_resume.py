"""`rankbench run` killed at random moments ends with the rows of a run that was not."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rankbench import load
from rankbench.engine.queue import Row
from rankbench.engine.runner import StudyRun
from rankbench.study.config import load_study
from rankbench.tasks import TASKS
from rankbench.training.checkpoint import Checkpoint
from tests.engine.test_study import Silent, execute, make_study
from tests.helpers import processes
from tests.helpers.captions import write_captions
from tests.helpers.clips import HEIGHT, WIDTH, write_clips
from tests.helpers.paths import ROOT
from tests.helpers.probe import Probe

ACTION = f"""
task: {{name: action, frames: frames.parquet, height: {HEIGHT}, width: {WIDTH}, classes: 3,
  folds: 4}}
cell: {{name: lstm, hidden_size: 8}}
training: {{epochs: EPOCHS, batch_size: 5, learning_rate: 0.01, schedule: cosine,
  input_dropout: 0.2, recurrent_dropout: 0.2}}
device: cpu
threads: 1
checkpoint_s: 0.001
search: {{objectives: {{accuracy: maximize}}}}
space: {{branches: {{cp: {{layer: {{decomposition: cp, core_order: 3, cp_rank: 2}}}}}}}}
"""
RECOVERY = """
task: {name: recovery, in_features: 16, out_features: 16, samples: 100}
training: {epochs: EPOCHS}
device: cpu
threads: 1
checkpoint_s: 0.001
search: {objectives: {rmse: minimize}}
space: {branches: {cp: {layer: {decomposition: cp, core_order: 2, cp_rank: 2}}}}
"""
DRAW = """
task: {name: draw, glimpses: 2, latent_size: 2, decoder_size: 4, validation: true}
cell: {name: lstm, hidden_size: 4}
training: {epochs: EPOCHS, batch_size: 400}
device: cpu
threads: 1
checkpoint_s: 0.001
search: {objectives: {nelbo_nats: minimize}}
space: {branches: {cp: {layer: {decomposition: cp, core_order: 1, cp_rank: 2}}}}
"""
CAPTION = """
task: {name: caption, data: tiny, embedding: 8, min_count: 1, max_length: 7, validation: true}
cell: {name: lstm, hidden_size: 8}
training: {epochs: EPOCHS, batch_size: 8, input_dropout: 0.2}
device: cpu
threads: 1
checkpoint_s: 0.001
search: {objectives: {cider: maximize}}
space: {branches: {cp: {layer: {decomposition: cp, core_order: 1, cp_rank: 2}}}}
"""
MEASURED = [
    *("status", "train_loss", "accuracy", "top_accuracy", "rmse", "rmse_prediction", "epochs"),
    *("nelbo_nats", "perplexity", "bleu_4", "cider"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RANKBENCH_CACHE", str(tmp_path / "cache"))
    write_clips(tmp_path / "frames.parquet")
    write_captions()
    return tmp_path


def start(results: str) -> subprocess.Popen[bytes]:
    """`rankbench run`, it and its children a process group of their own."""
    path = f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    return processes.start(
        [sys.executable, "-m", "rankbench", "run", "study.yaml", f"results={results}"],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
    )


def kept_epoch(results: str) -> int:
    """The epoch of the study's checkpoint, 0 without one."""
    with suppress(FileNotFoundError):  # its run has just ended
        for path in Path(results, "study", "checkpoints").glob("*.json"):
            return int(json.loads(path.read_text())["facts"]["epoch"])
    return 0


def kill_in_training(results: str, wait_s: float) -> int:
    """Kill the study's process group `wait_s` after it has kept something new.

    Returns the epoch that is kept, 0 where the training ended before.
    """
    before, process = kept_epoch(results), start(results)
    while kept_epoch(results) == before and process.poll() is None:
        time.sleep(0.005)
    time.sleep(wait_s)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return kept_epoch(results)


def curve(results: str) -> pd.DataFrame:
    return load("study", table="epochs", root=results).drop(columns="seconds")


@pytest.mark.parametrize(
    ("study", "epochs", "kills"),
    [
        (ACTION, 150, 1),
        pytest.param(ACTION, 500, 10, marks=pytest.mark.slow),
        pytest.param(RECOVERY, 2000, 10, marks=pytest.mark.slow),
        pytest.param(DRAW, 60, 2, marks=pytest.mark.slow),
        pytest.param(CAPTION, 200, 5, marks=pytest.mark.slow),
    ],
    ids=[
        "action",
        "action, ten times",
        "recovery, ten times",
        "draw, twice",
        "caption, five times",
    ],
)
def test_a_killed_study_goes_on_where_it_was(
    folder: Path, study: str, epochs: int, kills: int
) -> None:
    kept, epochs = kill_often(study, epochs, kills)
    assert start("killed").wait() == start("whole").wait() == 0
    runs, whole = (load("study", root=results).iloc[0] for results in ("killed", "whole"))
    assert kept == sorted(set(kept))
    assert 0 < kept[-1] == runs["resumed_epoch"] < epochs == runs["epochs"]
    assert pd.isna(whole["resumed_epoch"])
    assert len(curve("killed")) == epochs
    pd.testing.assert_frame_equal(curve("killed"), curve("whole"), check_exact=True)
    pd.testing.assert_series_equal(
        runs[MEASURED], whole[MEASURED], check_exact=True, check_names=False
    )
    assert list(Path("killed", "study", "checkpoints").iterdir()) == []


def kill_often(study: str, epochs: int, kills: int) -> tuple[list[int], int]:
    """Kill a study in training, `kills` times: the epoch kept each time, and of how many.

    There are twice the epochs, again and again, where a training ended before it was killed.
    """
    moments = random.Random(epochs)
    for longer in range(6):
        shutil.rmtree("killed", ignore_errors=True)
        Path("study.yaml").write_text(study.replace("EPOCHS", str(epochs * 2**longer)))
        kept = [kill_in_training("killed", moments.uniform(0.0, 0.2)) for _ in range(kills)]
        if all(kept):
            return kept, epochs * 2**longer
    raise AssertionError("the training always ended before it was killed")


class StopAt(Silent):
    """Stops the study once a run has reached an epoch."""

    def __init__(self, execution: StudyRun, epoch: int) -> None:
        self.execution, self.epoch = execution, epoch

    def on_row(self, worker: int, table: str, row: Row) -> None:
        if row.get("epoch", 0) >= self.epoch:
            self.execution.stop.set()


def test_an_interrupted_run_goes_on_unless_checkpoints_are_off(folder: Path) -> None:
    Path("study.yaml").write_text(RECOVERY.replace("EPOCHS", "500"))
    execution = StudyRun(load_study("study.yaml"))
    execution.run(StopAt(execution, 20))
    assert [row["status"] for row in execution.measured] == ["interrupted"]
    kept = kept_epoch("results")
    assert 0 < kept <= 500  # a run may be ahead of what the study has read
    again = StudyRun(load_study("study.yaml"))
    again.run(Silent())
    (row,) = again.measured
    assert (row["status"], row["epochs"], row["resumed_epoch"]) == ("done", 500, kept)
    assert list(curve("results")["epoch"]) == list(range(1, 501))
    off = StudyRun(load_study("study.yaml", ["checkpoint_s=0", "results=off"]))
    off.run(StopAt(off, 20))
    assert not Path("off", "study", "checkpoints").exists()


@pytest.mark.parametrize(
    ("how", "kept"), [("done", False), ("diverged", False), ("bug", True), ("kill", True)]
)
def test_a_checkpoint_goes_with_the_end_of_its_run(
    tmp_path: Path, how: str, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TASKS, "probe", Probe)
    study = make_study(tmp_path, {"task": {"how": (how,)}})
    checkpoint = checkpoint_of(StudyRun(study), tmp_path)
    execute(study)
    assert bool(checkpoint.files()) == kept


def test_a_checkpoint_that_outlived_its_run_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TASKS, "probe", Probe)
    study = make_study(tmp_path, {"task": {"value": (1,)}})
    checkpoint = checkpoint_of(execute(study), tmp_path)
    assert checkpoint.files()
    execute(study)
    assert checkpoint.files() == []


def checkpoint_of(study: StudyRun, folder: Path) -> Checkpoint:
    """Something kept of the only run of a study."""
    assert study.grid is not None
    (point,) = study.grid.points.values()
    where = folder / "results" / "probing" / "checkpoints"
    checkpoint = Checkpoint(folder=str(where), run_id=point.run_id(0))
    facts: dict[str, Any] = {"epoch": 1}
    checkpoint.write({}, facts)
    return checkpoint

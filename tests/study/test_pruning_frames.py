"""A study of clips whose slowest learner is pruned, as a person runs it and reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from rankbench import load
from rankbench.cli.main import main
from tests.helpers.clips import HEIGHT, WIDTH, write_clips

SLOW = 1e-9
STUDY = f"""
task: {{name: action, frames: frames.parquet, height: {HEIGHT}, width: {WIDTH}, classes: 3,
  folds: 4, validation: true}}
cell: {{name: lstm, hidden_size: 16}}
training: {{epochs: 12, batch_size: 4}}
device: cpu
threads: 1
search: {{objectives: {{selected_accuracy: maximize}}, pruner: median, startup_trials: 2}}
space:
  shared: {{training: {{learning_rate: [0.01, 0.02, {SLOW}]}}}}
  branches: {{dense: {{layer: {{decomposition: dense}}}}}}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("RANKBENCH_CACHE", str(tmp_path / "cache"))
    write_clips(tmp_path / "frames.parquet")
    Path("clips.yaml").write_text(STUDY)


def test_a_point_that_learns_nothing_is_pruned_and_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["run", "clips.yaml"]) == 0
    assert "measured now: 2 done, 1 pruned" in capsys.readouterr().out
    runs = load("clips")
    pruned = runs[runs["status"] == "pruned"].iloc[0]
    assert json.loads(pruned["params"])["training.learning_rate"] == SLOW
    assert "validation_accuracy" in pruned["error"]
    assert 1 <= pruned["epochs"] < 12
    curve = load("clips", table="epochs").query("run_id == @pruned.run_id")
    assert list(curve["epoch"]) == list(range(1, pruned["epochs"] + 1))

    assert main(["run", "clips.yaml"]) == 0
    assert "measured now: none" in capsys.readouterr().out
    assert main(["status", "clips.yaml"]) == 0
    told = capsys.readouterr().out
    assert "clips: 2 done, 1 pruned in results/clips" in told
    assert "0 runs to measure" in told
    assert main(["tables", "clips", "--only", "accuracy", "--out", "accuracy.csv"]) == 0
    assert list(pd.read_csv("accuracy.csv")["epochs"]) == [12, 12]

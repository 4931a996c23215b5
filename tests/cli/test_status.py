"""`rankbench status` beside a running study, and `--watch`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rankbench.cli import status
from rankbench.cli.main import main
from rankbench.study.in_progress import runs_in_progress

STUDY = """
task: {name: recovery, in_features: 16, out_features: 16, samples: 100}
training: {epochs: 100000000}
layer: {decomposition: low_rank, rank: 2}
search: {objectives: {rmse: minimize}}
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")
    Path("endless.yaml").write_text(STUDY)


def test_runs_are_seen_beside_the_process_that_measures_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = [sys.executable, "-m", "rankbench", "run", "endless.yaml"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            folder = Path("results/endless")
            while not any(run.epoch for run in runs_in_progress(folder)):
                assert process.poll() is None
                time.sleep(0.2)
            assert main(["status", "endless.yaml"]) == 0
            told = capsys.readouterr().out
            assert main(["status", "endless.yaml", "--json"]) == 0
            (run,) = json.loads(capsys.readouterr().out)["in_progress"]
        finally:
            process.terminate()
            process.wait()
    assert "runs in progress" in told
    assert "low_rank r=2 seed 0" in told
    assert "/100000000" in told
    assert told.endswith("1 runs to measure, 1 of them in progress\n")
    assert (run["pid"], run["worker"], run["seeds"]) == (process.pid, 0, [0])
    assert 0 < run["epoch"] < run["epochs"] == 100000000
    assert run["left_s"] > 0
    assert list(Path("results/endless").glob(".running*")) == []
    assert main(["status", "endless.yaml"]) == 0
    assert capsys.readouterr().out.endswith("1 runs to measure\n")


def test_watch_shows_the_status_until_nothing_is_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = []

    def finish(seconds: float) -> None:
        waited.append(seconds)
        assert main(["run", "endless.yaml", "training.epochs=2", "--results", "results"]) == 0

    monkeypatch.setattr(status, "sleep", finish)
    assert main(["status", "endless.yaml", "training.epochs=2", "--watch"]) == 0
    assert capsys.readouterr().out.strip().endswith("\n0 runs to measure")
    assert len(waited) == 1
    assert waited[0] >= 5.0


def test_ctrl_c_ends_watching(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(status, "sleep", interrupt)
    assert main(["status", "endless.yaml", "--watch"]) == 0
    assert "1 runs to measure" in capsys.readouterr().out

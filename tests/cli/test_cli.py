"""The commands as a person types them: output, exit codes, and one line for bad input."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from rankbench.cli.main import main
from tests.helpers.clips import HEIGHT, WIDTH, clip_rows, write_rows
from tests.helpers.processes import start

STUDY = """
task: {name: recovery, in_features: 16, out_features: 16, samples: 100}
training: {epochs: 4}
seeds: 2
search: {objectives: {rmse: minimize}}
space:
  branches:
    least_squares: {task: {learner: least_squares}, layer: {decomposition: dense}}
    tt: {layer: {decomposition: tensor_train, core_order: [2, 4], tt_ranks: [1, 2]}}
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    Path("tiny.yaml").write_text(STUDY)
    return "tiny.yaml"


def test_run_then_run_again_then_query_and_status(
    study: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", study]) == 0
    told = capsys.readouterr().out
    assert "5 points x 2 seeds = 10 runs, 0 measured already, 10 to go" in told
    assert "measured now: 10 done" in told
    assert "results: results/tiny" in told
    assert "tensor_train d=4 R=2" in told

    assert main(["run", study]) == 0
    assert "10 measured already, 0 to go" in capsys.readouterr().out

    assert main(["status", study]) == 0
    assert "tiny: 10 done in results/tiny\n0 runs to measure" in capsys.readouterr().out

    sql = "select decomposition, count(*) as n, avg(rmse) from runs group by 1 order by 1"
    assert main(["query", sql]) == 0
    told = capsys.readouterr().out
    assert "dense" in told
    assert "tensor_train" in told
    for kind in ("csv", "parquet"):
        assert main(["query", sql, "--format", kind, "--out", f"answer.{kind}"]) == 0
    frame = pd.read_csv("answer.csv")
    assert list(frame["n"]) == [2, 8]
    assert pq.read_table("answer.parquet").num_rows == 2
    assert "2 rows in answer.csv" in capsys.readouterr().out


def test_a_sampled_search_runs_and_resumes(study: str, capsys: pytest.CaptureFixture[str]) -> None:
    search = ["search.sampler=random", "search.trials=3", "seeds=1"]
    assert main(["plan", study, *search]) == 0
    assert "random draws 3 points x 1 seeds from 2 branches" in capsys.readouterr().out
    assert main(["run", study, *search]) == 0
    assert "3 random trials x 1 seeds, 3 runs to go" in capsys.readouterr().out
    assert main(["run", study, *search]) == 0
    assert "measured now: none" in capsys.readouterr().out


def test_rows_of_other_settings_do_not_count(
    study: str, capsys: pytest.CaptureFixture[str]
) -> None:
    diverging = ["space.branches.tt.training.learning_rate=[1e30]", "seeds=1"]
    assert main(["run", study, *diverging]) == 1
    capsys.readouterr()
    assert main(["run", study, "seeds=1"]) == 0
    assert "tiny: points, by rmse (mean" in capsys.readouterr().out


def test_status_tells_failures_the_front_and_what_is_of_earlier_settings(
    study: str, capsys: pytest.CaptureFixture[str]
) -> None:
    failing = ["+space.branches.tt.training.learning_rate=[0.01,1e30]", "seeds=1"]
    objectives = ["search.objectives={rmse:minimize,num_params:minimize}"]
    assert main(["run", study, *failing, *objectives]) == 1
    assert "tiny: Pareto front of " in capsys.readouterr().out
    assert main(["status", study, *failing, *objectives]) == 0
    told = capsys.readouterr().out
    assert " 4 diverged training loss is nan in epoch # " in " ".join(told.split())
    assert "tiny: Pareto front of " in told
    assert "earlier settings" not in told
    limited = ["seeds=1", "search.limits.num_params=200", "search.constraints.rmse.low=99"]
    for command in ("status", "plan"):
        assert main([command, study, *limited, *objectives]) == 0
        told = capsys.readouterr().out
        assert "more stored runs are of earlier settings" in told
    assert "limits: num_params at most 200\nconstraints: rmse at least 99" in told
    assert "skipped 1: outside search.limits: num_params at most 200" in told


def test_csv_writes_lists_as_text(study: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", study, "seeds=1"]) == 0
    capsys.readouterr()
    sql = "select distinct in_modes from runs where core_order = 4"
    assert main(["query", sql, "--format", "csv"]) == 0
    assert "[2, 2, 2, 2]" in capsys.readouterr().out


def test_plan_shows_points_before_anything_runs(
    study: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", study, "space.branches.tt.layer.core_order=[2,2,40]"]) == 0
    told = capsys.readouterr().out
    assert "tensor_train d=2 R=2" in told
    assert "estimated time" in told
    assert "2 settings are duplicates" in told
    assert "core_order is too large" in told
    assert not Path("results").exists()


def test_plan_needs_no_data(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["plan", "ucf11"]) == 0
    assert "58,982,400" in capsys.readouterr().out


def test_figures_are_named_as_they_are_written(
    study: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", study]) == 0
    capsys.readouterr()
    assert main(["figures", "tiny"]) == 0
    paths = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert {path.suffix for path in paths} == {".png", ".pdf", ".csv"}
    assert all(path.stat().st_size > 1000 for path in paths if path.suffix != ".csv")
    assert all(path.stat().st_size for path in paths)


def test_failed_runs_give_exit_code_1_and_the_others_survive(
    study: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", study, "+space.branches.tt.training.learning_rate=[0.01,1e30]"]) == 1
    told = capsys.readouterr().out
    assert "diverged: training loss is" in told
    assert "measured now: 8 diverged, 10 done" in told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_study_ends_with_its_summary(study: str, number: signal.Signals) -> None:
    endless = ["run", study, "training.epochs=10000000", "seeds=1"]
    command = [sys.executable, "-m", "rankbench", *endless]
    process = start(command, stdout=subprocess.PIPE, text=True)
    # The exact solution ends first; training then never does.
    assert any(line.startswith("[1/5]") for line in process.stdout)
    process.send_signal(number)
    told = process.stdout.readlines()
    assert process.wait() == 1
    # The second run may not have begun.
    assert {"measured now: 1 done\n", "measured now: 1 done, 1 interrupted\n"} & set(told)
    assert told[-1] == "stopped; `rankbench run tiny` goes on where it stopped\n"


ACTION = """
task: {{name: action, frames: {frames}, height: {height}, width: {width}, classes: 3, folds: 2}}
cell: {{name: rnn, hidden_size: 4}}
training: {{epochs: 1}}
layer: {{decomposition: low_rank, rank: 2}}
search: {{objectives: {{top_accuracy: maximize}}}}
"""


def action_study(frames: str) -> str:
    Path("clips.yaml").write_text(ACTION.format(frames=frames, height=HEIGHT, width=WIDTH))
    return "clips.yaml"


def test_clips_are_trained_on(
    study: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANKBENCH_CACHE", "cache")
    write_rows(Path("frames.parquet"), clip_rows())
    assert main(["run", action_study("frames.parquet")]) == 0
    assert "low_rank r=2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("damage", "message"),
    [("jpeg", "the picture is not a complete JPEG"), ("file", "cannot be read as Parquet")],
)
def test_damaged_frames_are_a_failed_run_with_its_reason(
    study: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    damage: str,
    message: str,
) -> None:
    monkeypatch.setenv("RANKBENCH_CACHE", "cache")
    rows = clip_rows()
    if damage == "jpeg":
        rows[3]["jpeg"] = rows[3]["jpeg"][:50]
    path = Path("frames.parquet")
    write_rows(path, rows)
    if damage == "file":
        path.write_bytes(path.read_bytes()[:-30])
    assert main(["run", action_study("frames.parquet")]) == 1
    told = capsys.readouterr().out
    assert message in told
    assert "measured now: 1 error" in told


def test_a_truncated_parquet_file_is_reported_and_measured_again(
    study: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", study]) == 0
    victim = next(Path("results/tiny/runs").glob("*.parquet"))
    victim.write_bytes(victim.read_bytes()[:100])
    with pytest.warns(Warning, match=str(victim)):
        assert main(["run", study]) == 0
    assert "9 measured already, 1 to go" in capsys.readouterr().out
    assert main(["status", study]) == 0
    assert "10 done" in capsys.readouterr().out


BAD = [
    ("run nothing", "study must be one of: "),
    ("run {study} task.nois=1", "got 'nois' (did you mean 'noise'?)"),
    ("run {study} space.branches.tt.layer.decomposition=tt", "got 'tt'"),
    ("run ucf11", "task.frames is not set: give the name of a set (`rankbench data list` shows"),
    ("run ucf11 task.frames=nowhere.parquet", "frames file nowhere.parquet does not exist"),
    ("query select", "there are no results in results"),
    ("figures nothing", "nothing"),
    ("figures nothing --style poster", "style must be one of: screen, paper, slide; got 'poster'"),
    ("figures --all --style poster", "style must be one of: screen, paper, slide; got 'poster'"),
    ("run {study} device=cuda", "device is cuda, but torch sees no GPU here"),
]


@pytest.mark.parametrize(("line", "message"), BAD)
def test_bad_input_is_one_line_and_exit_code_2(
    study: str, capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    arguments = line.format(study=study).split()
    if "cuda" in line:
        torch = pytest.importorskip("torch")
        if torch.cuda.is_available():
            pytest.skip("this machine has a GPU")
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert message in told


def test_wrong_sql_is_told_with_the_tables_there_are(
    study: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", study, "seeds=1", "space.branches.tt.layer.core_order=[2]"]) == 0
    capsys.readouterr()
    assert main(["query", "select nothing from runs"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "nothing" in told
    assert "tables: runs, epochs, samples, weights, beams, sentences" in told


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["layer.decomposition=cp", "layer.cp_rank=0", "layer.core_order=2"], "cp_rank must be"),
        (
            [
                "layer.decomposition=cp",
                "layer.cp_rank=1",
                "layer.in_modes=[4,5]",
                "layer.out_modes=[4,4]",
            ],
            "in_modes [4, 5] multiply to 20, the task's input has 16 features",
        ),
    ],
)
def test_a_study_of_wrong_points_is_exit_code_2(
    study: str, capsys: pytest.CaptureFixture[str], overrides: list[str], message: str
) -> None:
    emptied = ["~space.branches.tt", "~space.branches.least_squares"]
    assert main(["run", study, *emptied, *overrides]) == 2
    assert message in capsys.readouterr().err


def test_one_wrong_rank_is_skipped_with_its_reason(
    study: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", study, "space.branches.tt.layer.tt_ranks=[0,1]"]) == 0
    told = capsys.readouterr().out
    assert "skipped 2: " in told
    assert "got 0" in told

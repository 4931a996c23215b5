"""Running a study: resuming, replicates, samplers, lost journals, kills, workers, failures."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest

from rankbench import load
from rankbench.engine.queue import JOURNAL, Row
from rankbench.engine.runner import StudyRun
from rankbench.study.config import Study
from rankbench.study.search import Search
from rankbench.study.space import Space
from rankbench.tasks import TASKS
from rankbench.tasks.base import Point
from tests.helpers.paths import ROOT
from tests.helpers.probe import Probe
from tests.helpers.processes import is_alive, start, wait_until


class Silent:
    def on_run_started(self, worker: int, point: Point, seed: int) -> None: ...
    def on_row(self, worker: int, table: str, row: Row) -> None: ...
    def on_run_finished(self, worker: int, row: Row) -> None: ...
    def on_runs_skipped(self, point: Point, runs: int) -> None: ...


@pytest.fixture(autouse=True)
def probe_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, "probe", Probe)


def make_study(folder: Path, space: dict[str, Any] | None = None, **settings: Any) -> Study:
    task = {"name": "probe", "log": str(folder / "log"), **settings.pop("task", {})}
    search = {"objectives": (("rmse", "minimize"),), **settings.pop("search", {})}
    if isinstance(settings.get("seeds"), int):
        settings["seeds"] = tuple(range(settings["seeds"]))
    return Study(
        name="probing",
        task=task,
        layer={"decomposition": "dense"},
        space=Space.parse(space or {"task": {"value": (3, 1, 2)}}, {}),
        search=Search(**search),
        results=str(folder / "results"),
        **settings,
    )


def execute(study: Study) -> StudyRun:
    execution = StudyRun(study)
    execution.run(Silent())
    return execution


def runs_of(folder: Path) -> Any:
    return load("probing", root=folder / "results")


def executed(folder: Path) -> Counter[str]:
    return Counter((folder / "log").read_text().split())


def journal(folder: Path) -> optuna.Study:
    path = str(folder / "results" / "probing" / JOURNAL)
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(path))
    return optuna.load_study(study_name="probing", storage=storage)


def test_every_point_and_seed_is_one_row_and_optuna_is_told_their_mean(tmp_path: Path) -> None:
    execute(make_study(tmp_path, seeds=(0, 1)))
    runs = runs_of(tmp_path)
    assert len(runs) == runs["run_id"].nunique() == 6
    assert set(runs["status"]) == {"done"}
    assert runs["point_id"].nunique() == 3
    trials = journal(tmp_path).trials
    told = {trial.params["task.value"]: trial.value for trial in trials}
    assert told == {1: 1.125, 2: 2.125, 3: 3.125}


def test_rows_carry_point_provenance_and_configuration(tmp_path: Path) -> None:
    execute(make_study(tmp_path, seeds=(4,), threads=1))
    row = runs_of(tmp_path).iloc[0]
    assert row["study"] == "probing"
    assert row["seed"] == 4
    assert row["threads"] == 1
    assert row["decomposition"] == "dense"
    assert row["num_params"] == 16
    assert json.loads(row["config"])["task"]["name"] == "probe"
    assert json.loads(row["params"]) == {"task.value": row["noise"]}
    assert row["duration_s"] > 0
    assert row["torch_version"]
    assert row["cpu_cores"] >= 1


def test_a_finished_study_measures_nothing_again(tmp_path: Path) -> None:
    execute(make_study(tmp_path))
    assert execute(make_study(tmp_path)).measured == []
    assert set(executed(tmp_path).values()) == {1}


def test_a_grown_space_measures_only_what_is_new(tmp_path: Path) -> None:
    execute(make_study(tmp_path))
    grown = execute(make_study(tmp_path, {"task": {"value": (3, 1, 2, 7)}}, seeds=(0, 1)))
    assert len(grown.measured) == 8 - 3
    assert set(executed(tmp_path).values()) == {1}


def test_failed_runs_are_measured_again_and_replaced(tmp_path: Path) -> None:
    first = execute(make_study(tmp_path, task={"how": "once"}))
    assert [row["status"] for row in first.measured] == ["error"] * 3
    again = execute(make_study(tmp_path, task={"how": "once"}))
    assert [row["status"] for row in again.measured] == ["done"] * 3
    assert list(runs_of(tmp_path)["status"]) == ["done"] * 3


def test_a_failed_run_leaves_the_others_alone(tmp_path: Path) -> None:
    execute(make_study(tmp_path, {"task": {"how": ("done", "kill", "bug", "diverged")}}))
    runs = runs_of(tmp_path).set_index("target")
    statuses = {"done": "done", "kill": "killed", "bug": "error", "diverged": "diverged"}
    assert dict(runs["status"]) == statuses
    assert "KeyError" in runs.loc["bug", "traceback"]
    states = Counter(trial.state.name for trial in journal(tmp_path).trials)
    assert states == {"COMPLETE": 1, "FAIL": 3}


def test_seeds_trained_together_have_a_row_each(tmp_path: Path) -> None:
    execute(make_study(tmp_path, seeds=5, replicates=3))
    runs = runs_of(tmp_path)
    assert len(runs) == runs["run_id"].nunique() == 15
    assert set(runs["status"]) == {"done"}
    assert Counter(runs["replicates"]) == {3: 9, 2: 6}
    assert list(runs["rmse"]) == list(runs["noise"] + 0.25 * runs["seed"])
    groups = runs.groupby(["point_id", "started_at"])["duration_s"]
    assert list(groups.nunique()) == [1] * 6
    assert sorted(trial.value for trial in journal(tmp_path).trials) == [1.5, 2.5, 3.5]


def test_replicates_are_no_part_of_a_point_and_only_missing_seeds_are_run(tmp_path: Path) -> None:
    execute(make_study(tmp_path, seeds=2))
    assert set(runs_of(tmp_path)["replicates"]) == {1}
    grown = execute(make_study(tmp_path, seeds=6, replicates=64))
    assert sorted(row["seed"] for row in grown.measured) == sorted([2, 3, 4, 5] * 3)
    assert {row["replicates"] for row in grown.measured} == {4}
    assert set(executed(tmp_path).values()) == {1}


def test_a_replicate_that_diverges_leaves_the_others_alone(tmp_path: Path) -> None:
    execute(make_study(tmp_path, {"task": {"how": ("odd",)}}, seeds=4, replicates=4))
    runs = runs_of(tmp_path).set_index("seed")
    assert dict(runs["status"]) == {0: "done", 1: "diverged", 2: "done", 3: "diverged"}
    assert runs.loc[1, "error"] == "training loss is nan in epoch 2"


def test_a_killed_program_costs_only_its_own_replicates(tmp_path: Path) -> None:
    space = {"task": {"how": ("done", "kill")}}
    execute(make_study(tmp_path, space, seeds=4, replicates=2))
    counts = Counter(zip(runs_of(tmp_path)["target"], runs_of(tmp_path)["status"], strict=True))
    assert counts == {("done", "done"): 4, ("kill", "killed"): 4}
    again = execute(make_study(tmp_path, space, seeds=4, replicates=2))
    assert {row["target"] for row in again.measured} == {"kill"}


@pytest.mark.parametrize("damage", ["lost", "torn", "foreign"])
def test_a_damaged_journal_is_rebuilt_from_parquet(tmp_path: Path, damage: str) -> None:
    execute(make_study(tmp_path))
    path = tmp_path / "results" / "probing" / JOURNAL
    match damage:
        case "lost":
            path.unlink()
        case "torn":
            path.write_bytes(path.read_bytes()[:-20])
        case "foreign":
            path.write_text("this is no journal\n")
    assert execute(make_study(tmp_path)).measured == []
    assert sorted(trial.value for trial in journal(tmp_path).trials) == [1.0, 2.0, 3.0]


def test_invalid_points_are_skipped_with_their_reason(tmp_path: Path) -> None:
    space = {"task": {"how": ("done", "invalid"), "value": (1, 2)}}
    execution = execute(make_study(tmp_path, space))
    assert execution.skipped == {"value 1 is invalid": 1, "value 2 is invalid": 1}
    assert len(execution.measured) == 2


def test_a_space_without_a_valid_point_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no valid point: value 1 is invalid"):
        StudyRun(make_study(tmp_path, {"task": {"how": ("invalid",), "value": (1,)}}))


def test_settings_that_make_the_same_point_are_measured_once(tmp_path: Path) -> None:
    execution = execute(make_study(tmp_path, {"task": {"value": (1, 1, 2)}}))
    assert execution.grid is not None
    assert execution.grid.duplicates == 1
    assert len(execution.measured) == 2


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_samplers_draw_the_stated_number_of_trials_and_resume(tmp_path: Path, sampler: str) -> None:
    space = {"task": {"value": {"low": 0, "high": 1000}}}
    search = {"sampler": sampler, "trials": 6}
    execute(make_study(tmp_path, space, search=search, workers=2))
    assert len(journal(tmp_path).trials) == 6
    before = len(runs_of(tmp_path))
    execute(make_study(tmp_path, space, search={**search, "trials": 9}))
    trials = journal(tmp_path).trials
    assert len(trials) == 9
    assert all(trial.value == trial.params["task.value"] for trial in trials)
    assert len(runs_of(tmp_path)) == len({trial.params["task.value"] for trial in trials}) > before
    assert set(executed(tmp_path).values()) == {1}


def test_a_sampler_is_not_told_of_points_with_other_fixed_settings(tmp_path: Path) -> None:
    space = {"task": {"value": {"low": 0, "high": 1000}}}
    search = {"sampler": "random", "trials": 3}
    execute(make_study(tmp_path, space, search=search))
    other = execute(make_study(tmp_path, space, search=search, dtype="float64"))
    assert len(other.measured) == len(other.own_rows()) == 3
    assert len(journal(tmp_path).trials) == 3
    assert len(runs_of(tmp_path)) == 6


def test_a_sampler_learns_from_the_rows_of_a_grid(tmp_path: Path) -> None:
    execute(make_study(tmp_path, {"task": {"value": (1, 2, 3), "how": ("done",)}}))
    space = {"task": {"value": (1, 2, 3, 4), "how": ("done",)}}
    execute(make_study(tmp_path, space, search={"sampler": "random", "trials": 3}))
    assert sorted(trial.value for trial in journal(tmp_path).trials) == [1.0, 2.0, 3.0]


def test_several_objectives(tmp_path: Path) -> None:
    objectives = (("rmse", "minimize"), ("epochs", "maximize"))
    execute(make_study(tmp_path, search={"objectives": objectives}))
    study = journal(tmp_path)
    assert [direction.name for direction in study.directions] == ["MINIMIZE", "MAXIMIZE"]
    assert sorted(trial.values for trial in study.trials) == [[1.0, 1.0], [2.0, 1.0], [3.0, 1.0]]


def test_results_that_cannot_be_written_stop_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = StudyRun(make_study(tmp_path))

    def full(tables: object) -> None:
        raise OSError("cannot write results/probing: no space left on device")

    monkeypatch.setattr(execution.store, "write_run", full)
    with pytest.raises(OSError, match="no space left"):
        execution.run(Silent())


def test_a_study_that_is_being_run_refuses_a_second_process(tmp_path: Path) -> None:
    first = start_probing(tmp_path, "forever", points=1)
    wait_for_runs(tmp_path, 1, first)
    with pytest.raises(ValueError, match=f"is being run by process {first.pid}; wait for it"):
        execute(make_study(tmp_path))


def test_killed_in_the_middle_it_ends_with_one_good_row_a_run(tmp_path: Path) -> None:
    """kill -9 of the study's process three times; then it is run to its end."""
    for done in (2, 5, 8):
        process = start_probing(tmp_path, "done", points=12)
        wait_for_runs(tmp_path, done, process)
        process.kill()
        process.wait()
    assert start_probing(tmp_path, "done", points=12).wait() == 0
    runs = runs_of(tmp_path)
    assert len(runs) == runs["run_id"].nunique() == 12
    assert set(runs["status"]) == {"done"}
    # Each kill costs at most the runs that two workers had in hand.
    assert sum(executed(tmp_path).values()) <= 12 + 3 * 2


def test_runs_die_with_a_killed_study(tmp_path: Path) -> None:
    process = start_probing(tmp_path, "forever", points=2)
    wait_for_runs(tmp_path, 2, process)
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= 2
    process.kill()
    process.wait()
    wait_until(lambda: not any(map(is_alive, family)))


def test_ctrl_c_stops_cleanly_and_keeps_what_was_measured(tmp_path: Path) -> None:
    process = start_probing(tmp_path, "forever", points=2)
    wait_until(lambda: lines(tmp_path / "rows") == 2, process)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 1
    runs = runs_of(tmp_path)
    assert list(runs["status"]) == ["interrupted"] * 2
    assert list(runs["epochs"]) == [1, 1]


@pytest.mark.slow
def test_four_workers_measure_a_thousand_points_once_each(tmp_path: Path) -> None:
    space = {"task": {"value": tuple(range(1000))}}
    execute(make_study(tmp_path, space, workers=4))
    runs = runs_of(tmp_path)
    assert len(runs) == runs["run_id"].nunique() == 1000
    assert sorted(runs["noise"]) == list(range(1000))
    counts = executed(tmp_path)
    assert len(counts) == 1000
    assert set(counts.values()) == {1}


def start_probing(folder: Path, how: str, *, points: int) -> subprocess.Popen[Any]:
    """Run a study of probes in a process of its own."""
    return start(
        [sys.executable, "-m", "tests.helpers.run_probe", str(folder), how, str(points)], cwd=ROOT
    )


def wait_for_runs(folder: Path, count: int, *processes: subprocess.Popen[Any]) -> None:
    """Wait until the log has so many runs, which `processes` begin."""
    wait_until(lambda: lines(folder / "log") >= count, *processes)


def lines(path: Path) -> int:
    return path.read_text().count("\n") if path.exists() else 0

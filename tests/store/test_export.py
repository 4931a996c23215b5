"""Export: what other tools load is what the rows say."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

import optuna
import pandas as pd
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from rankbench.cli.main import main
from rankbench.engine.queue import Row
from rankbench.engine.runner import StudyRun
from rankbench.engine.trials import copy_to, open_storage
from rankbench.store.store import Store
from rankbench.study.bounds import Bound
from rankbench.tasks import TASKS
from tests.engine.test_study import make_study
from tests.helpers.probe import Probe

Write = Callable[..., None]
VALUES = {"task": {"value": (3, 1, 2)}}
SAMPLED = {"task": {"value": {"low": 0, "high": 9}}}


@pytest.fixture(autouse=True)
def probe_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, "probe", Probe)


def store_grid(execution: StudyRun, **by_value: Row) -> None:
    """Rows for every point and seed, `by_value` put into those of value_N."""
    assert execution.grid is not None
    for point in execution.grid.points.values():
        value = point.task.value  # type: ignore[attr-defined]
        for seed in execution.study.seeds:
            row = {
                "run_id": point.run_id(seed),
                "point_id": point.point_id,
                "seed": seed,
                "status": "done",
                "rmse": value + 0.25 * seed,
                "num_params": 10 * value,
                "started_at": pd.Timestamp("2026-01-01", tz="UTC").to_pydatetime(),
                "duration_s": 2.0,
                **by_value.get(f"value_{value}", {}),
            }
            execution.store.write_run({"runs": [row]})


def loaded(execution: StudyRun) -> optuna.Study:
    storage = InMemoryStorage()
    copy_to(storage, StudyRun(execution.study))
    return optuna.load_study(study_name="probing", storage=storage)


def by_value(study: optuna.Study) -> dict[int, FrozenTrial]:
    return {trial.params["task.value"]: trial for trial in study.trials}


def test_a_grid_is_a_trial_a_point_with_the_mean_of_its_seeds(tmp_path: Path) -> None:
    execution = StudyRun(make_study(tmp_path, VALUES, seeds=2))
    store_grid(execution)
    trials = by_value(loaded(execution))
    rows = execution.store.read("runs").to_pylist()
    for value, trial in trials.items():
        own = [row for row in rows if row["point_id"] == trial.user_attrs["point_id"]]
        assert trial.state is TrialState.COMPLETE
        assert trial.value == statistics.fmean(row["rmse"] for row in own)
        assert set(trial.user_attrs["run_ids"]) == {row["run_id"] for row in own}
        assert trial.duration is not None
        assert trial.duration.total_seconds() == 2.0
        assert value in (1, 2, 3)
    assert len(trials) == 3


def test_failures_carry_their_error_and_what_is_missing_waits(tmp_path: Path) -> None:
    execution = StudyRun(make_study(tmp_path, VALUES))
    store_grid(execution, value_2={"status": "error", "error": "no luck", "rmse": None})
    grown = make_study(tmp_path, {"task": {"value": (1, 2, 4)}})
    trials = by_value(loaded(StudyRun(grown)))
    states = {value: trial.state for value, trial in trials.items()}
    assert states == {1: TrialState.COMPLETE, 2: TrialState.FAIL, 4: TrialState.WAITING}
    assert trials[2].user_attrs["error"] == "no luck"
    assert trials[2].user_attrs["statuses"] == ["error"]


def test_several_objectives_have_their_directions_and_front(tmp_path: Path) -> None:
    search = {"objectives": (("rmse", "minimize"), ("num_params", "maximize"))}
    execution = StudyRun(make_study(tmp_path, VALUES, search=search))
    store_grid(execution)
    study = loaded(execution)
    assert [direction.name for direction in study.directions] == ["MINIMIZE", "MAXIMIZE"]
    assert study.metric_names == ["rmse", "num_params"]
    assert {tuple(trial.values) for trial in study.best_trials} == {(1, 10), (2, 20), (3, 30)}


def test_the_best_trial_keeps_to_the_constraints(tmp_path: Path) -> None:
    constraints = (Bound(column="num_params", high=20),)
    search = {"objectives": (("rmse", "maximize"),), "constraints": constraints}
    execution = StudyRun(make_study(tmp_path, VALUES, search=search))
    store_grid(execution)
    assert loaded(execution).best_trial.params == {"task.value": 2}  # 3 has 30 parameters


def test_a_sampled_search_has_the_parameters_that_were_drawn(tmp_path: Path) -> None:
    search = {"sampler": "random", "trials": 5}
    study = make_study(tmp_path, SAMPLED, search=search)
    execution = StudyRun(study)
    for value in (7, 4):
        point = study.point({"task.value": value})
        ids = {"run_id": point.run_id(0), "point_id": point.point_id, "seed": 0}
        row = {**ids, "status": "done", "rmse": float(value)}
        execution.store.write_run({"runs": [{**row, "params": f'{{"task.value": {value}}}'}]})
    trials = by_value(loaded(execution))
    assert {value: trial.value for value, trial in trials.items()} == {7: 7.0, 4: 4.0}
    assert trials[4].distributions["task.value"] == optuna.distributions.IntDistribution(0, 9)


def test_pruned_runs_have_their_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Probe, "monitor", lambda self: ("train_loss", "minimize"))
    search = {"pruner": "median", "sampler": "random", "trials": 2}
    study = make_study(tmp_path, SAMPLED, search=search)
    execution, point = StudyRun(study), study.point({"task.value": 7})
    row = {"run_id": point.run_id(0), "point_id": point.point_id, "seed": 0, "status": "pruned"}
    epochs = [{"epoch": epoch, "train_loss": 1 / epoch} for epoch in (1, 2)]
    runs = [{**row, "params": '{"task.value": 7}'}]
    execution.store.write_run({"runs": runs, "epochs": epochs})
    [trial] = loaded(execution).trials
    assert trial.state is TrialState.PRUNED
    assert trial.intermediate_values == {1: 1.0, 2: 0.5}
    assert trial.value == 0.5


def yaml_of(folder: Path) -> str:
    path = folder / "s.yaml"
    path.write_text(
        "task:\n  name: recovery\n  in_features: 16\n  out_features: 16\n"
        "layer:\n  decomposition: low_rank\nspace:\n  shared:\n    layer:\n      rank: [1, 2]\n"
        f"search:\n  objectives: {{rmse: minimize}}\nresults: {folder / 'results'}\n"
    )
    return str(path)


@pytest.mark.parametrize("where", ["sqlite:///{}/x.db", "{}/x.journal"])
def test_the_command_fills_any_storage_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    storage = where.format(tmp_path)
    command = ["export", yaml_of(tmp_path), "--to", "optuna", "--storage", storage]
    assert main(command) == 0
    assert "s: 2 trials" in capsys.readouterr().out
    study = optuna.load_study(study_name="s", storage=open_storage(storage))
    assert [trial.params for trial in study.trials] == [{"layer.rank": 1}, {"layer.rank": 2}]
    assert main(command) == 2
    assert "already has a study named s" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_chosen_columns_of_several_studies(
    tmp_path: Path, write: Write, capsys: pytest.CaptureFixture[str], ending: str
) -> None:
    write("a", rmse=0.5, in_modes=[2, 3])
    root = tmp_path / "results"
    other = {"run_id": "b", "status": "done", "rmse": 0.25}
    Store(root, "other").write_run({"runs": [other]})
    path = tmp_path / f"out.{ending}"
    names = ["demo", "other", "--to", str(path), "--results", str(root)]
    assert main(["export", *names, "--columns", "study,run_id,rmse,in_modes"]) == 0
    read = pd.read_csv(path) if ending == "csv" else pd.read_parquet(path)
    assert list(read.columns) == ["study", "run_id", "rmse", "in_modes"]
    assert read["run_id"].tolist() == ["a", "b"]
    assert read["rmse"].tolist() == [0.5, 0.25]
    modes = "[2, 3]" if ending == "csv" else [2, 3]  # CSV has no lists
    first = read["in_modes"][0]
    assert (first if ending == "csv" else first.tolist()) == modes


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["demo", "--to", "runs.xls"], "--to must be one of: .csv, .parquet"),
        (["demo", "--to", "runs.csv", "--columns", "rsme"], "did you mean 'rmse'"),
        (["demo", "--to", "runs.csv", "--table", "run"], "table must be one of"),
        (["demmo", "--to", "runs.csv"], "did you mean 'demo'"),
        (["demo", "--to", "optuna"], "--to optuna needs --storage"),
        (["demo", "--to", "runs.csv", "--storage", "x"], "need --to optuna"),
        (["a=1", "--to", "runs.csv"], "export needs the name of a study"),
    ],
)
def test_wrong_options_are_one_line(
    tmp_path: Path,
    write: Write,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    told: str,
) -> None:
    write("a")
    monkeypatch.chdir(tmp_path)
    assert main(["export", *options]) == 2
    assert told in capsys.readouterr().err
    assert not list(tmp_path.glob("runs.*"))

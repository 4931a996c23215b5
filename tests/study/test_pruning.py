"""Pruning: what falls behind on its validation curve is ended, kept, and not run again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import optuna
import pytest
import torch
from optuna.trial import TrialState

from rankbench import load
from rankbench.engine.queue import JOURNAL
from rankbench.engine.runner import StudyRun
from rankbench.study.config import Study
from rankbench.study.search import Search
from rankbench.study.space import Space
from rankbench.tasks import TASKS
from rankbench.tasks.base import Context, Point, Row
from tests.engine.test_study import Silent
from tests.helpers.probe import Probe

EPOCHS = 6


@dataclass(frozen=True, kw_only=True)
class Curved(Probe):
    """Its curve is `value` throughout; the higher, the worse."""

    name: ClassVar[str] = "curved"
    trains: ClassVar[bool] = True

    def monitor(self) -> tuple[str, str]:
        return "rmse", "minimize"

    def run(self, point: Point, context: Context) -> Iterator[Row]:
        for epoch in range(1, EPOCHS + 1):
            yield "epochs", {"epoch": epoch, "train_loss": 0.5, "rmse": float(self.value)}
            yield "runs", {"epochs": epoch, "rmse": float(self.value)}


class Counting(Silent):
    """Counts the runs that were spared."""

    def __init__(self) -> None:
        self.runs = 0

    def on_runs_skipped(self, point: Point, runs: int) -> None:
        self.runs += runs


@pytest.fixture(autouse=True)
def curved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, "curved", Curved)


def make(folder: Path, values: tuple[int, ...] = (1, 1, 9, 2), **settings: Any) -> Study:
    search = {"objectives": (("rmse", "minimize"),), "pruner": "median", "startup_trials": 2}
    return Study(
        name="pruning",
        task={"name": "curved"},
        layer={"decomposition": "dense"},
        training={"epochs": EPOCHS},
        space=Space.parse({"task": {"value": values}}, {}),
        search=Search(**{**search, **settings.pop("search", {})}),
        results=str(folder / "results"),
        **{"seeds": (0, 1), **settings},
    )


def execute(study: Study) -> tuple[StudyRun, Counting]:
    execution, listener = StudyRun(study), Counting()
    execution.run(listener)
    return execution, listener


def statuses(folder: Path) -> dict[tuple[float, int], str]:
    runs = load("pruning", root=folder / "results")
    return {(row.noise, row.seed): row.status for row in runs.itertuples()}


def journal(folder: Path) -> list[optuna.trial.FrozenTrial]:
    path = str(folder / "results" / "pruning" / JOURNAL)
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(path))
    return optuna.load_study(study_name="pruning", storage=storage).trials


def test_a_point_that_falls_behind_is_ended_and_its_rows_are_kept(tmp_path: Path) -> None:
    _, listener = execute(make(tmp_path, (1, 2, 9, 0)))
    done = {(value, seed): "done" for value in (1.0, 2.0, 0.0) for seed in (0, 1)}
    assert statuses(tmp_path) == {**done, (9.0, 0): "pruned"}
    assert listener.runs == 1
    runs = load("pruning", root=tmp_path / "results")
    pruned = runs[runs["status"] == "pruned"].iloc[0]
    assert pruned["error"] == "rmse 9 after epoch 1 is worse than other trials'"
    assert (pruned["epochs"], pruned["rmse"]) == (1, 9.0)
    epochs = load("pruning", table="epochs", root=tmp_path / "results")
    assert (epochs["run_id"] == pruned["run_id"]).sum() == 1
    told = {trial.params["task.value"]: trial for trial in journal(tmp_path)}
    assert told[9].state is TrialState.PRUNED
    assert told[9].value == 9.0
    assert told[1].intermediate_values == dict.fromkeys(range(1, EPOCHS + 1), 1.0)


def test_what_was_pruned_is_not_run_again_until_the_pruner_goes(tmp_path: Path) -> None:
    execute(make(tmp_path, (1, 2, 9)))
    again, _ = execute(make(tmp_path, (1, 2, 9)))
    assert again.measured == []
    assert again.planned() == 0
    full = StudyRun(make(tmp_path, (1, 2, 9), search={"pruner": "none"}))
    assert full.planned() == 2
    full.run(Counting())
    assert set(statuses(tmp_path).values()) == {"done"}
    assert len(full.measured) == 2


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_the_history_of_the_pruner_survives_a_lost_journal(tmp_path: Path, pruner: str) -> None:
    search = {"pruner": pruner, "reduction_factor": 2}
    execute(make(tmp_path, (1, 2, 3, 4), search=search))
    (tmp_path / "results" / "pruning" / JOURNAL).unlink()
    bad = tuple(range(90, 98))
    execute(make(tmp_path, (1, 2, 3, 4, *bad), search=search))
    found = statuses(tmp_path)
    assert found[(1.0, 0)] == "done"
    assert "pruned" in {found[(value, 0)] for value in bad}
    trials = journal(tmp_path)
    assert all(trial.intermediate_values for trial in trials)
    assert {trial.state for trial in trials} == {TrialState.COMPLETE, TrialState.PRUNED}


def rungs(folder: Path) -> dict[int, dict[str, Any]]:
    """What Hyperband noted on each trial, by its number."""
    return {
        trial.number: {k: v for k, v in trial.system_attrs.items() if k.startswith("completed")}
        for trial in journal(folder)
    }


def test_hyperband_goes_by_the_rungs_that_earlier_runs_reached(tmp_path: Path) -> None:
    search = {"pruner": "hyperband", "reduction_factor": 2}
    study = make(tmp_path, (1, 5, 2, 8, 3, 9, 4, 7), search=search, seeds=(0,))
    execute(study)
    noted, found = rungs(tmp_path), statuses(tmp_path)
    assert set(found.values()) == {"done", "pruned"}
    assert any(noted.values())
    (tmp_path / "results" / "pruning" / JOURNAL).unlink()
    assert execute(study)[0].measured == []
    assert rungs(tmp_path) == noted


def stop_early(study: Study, value: int, epochs: int, status: str) -> None:
    """Store the first seed of a value as if it had ended after so many epochs."""
    point, seed = study.point({"task.value": value}), study.seeds[0]
    params = json.dumps({"task.value": value})
    facts = {"point_id": point.point_id, "seed": seed, "status": status, "params": params}
    curve = [{"epoch": epoch, "rmse": 99.0} for epoch in range(1, epochs + 1)]
    run = {"run_id": point.run_id(seed), "noise": float(value), **facts}
    StudyRun(study).store.write_run({"runs": [run], "epochs": curve})


@pytest.mark.parametrize("status", ["interrupted", "timeout"])
def test_a_run_that_is_run_again_is_judged_by_its_new_curve(tmp_path: Path, status: str) -> None:
    execute(make(tmp_path, (1, 2)))
    stop_early(make(tmp_path), 0, 3, status)
    execute(make(tmp_path, (1, 2, 0)))
    assert statuses(tmp_path)[(0.0, 0)] == "done"
    told = {trial.params["task.value"]: trial for trial in journal(tmp_path)}
    assert told[0].intermediate_values == dict.fromkeys(range(1, EPOCHS + 1), 0.0)


def test_without_a_pruner_every_seed_of_a_pruned_point_is_run(tmp_path: Path) -> None:
    stop_early(make(tmp_path, seeds=(1,)), 9, 1, "pruned")
    study = make(tmp_path, (9,), search={"pruner": "none"})
    _, listener = execute(study)
    assert statuses(tmp_path) == {(9.0, 0): "done", (9.0, 1): "done"}
    assert listener.runs == 0
    assert [trial.state for trial in journal(tmp_path)] == [TrialState.COMPLETE]


def test_spared_runs_of_a_sampled_search_are_not_to_come(tmp_path: Path) -> None:
    search = {"sampler": "random", "trials": 1}
    study = make(tmp_path, (8, 9), search=search)
    assert StudyRun(study).planned() == 2
    stop_early(study, 9, 1, "pruned")
    assert StudyRun(study).planned() == 0


def test_a_checkpoint_of_a_pruned_run_is_kept_once_the_pruner_is_gone(tmp_path: Path) -> None:
    study = make(tmp_path, (9,), search={"pruner": "none"}, seeds=(0,))
    stop_early(study, 9, 1, "pruned")
    execution = StudyRun(study)
    run_id = study.point({"task.value": 9}).run_id(0)
    checkpoint = execution.state.checkpoint(run_id)
    checkpoint.write({"w": torch.zeros(1)}, {"epoch": 1})
    execution._drop_leftovers()
    assert checkpoint.path.exists()
    pruning = StudyRun(make(tmp_path, (9,), seeds=(0,)))
    pruning._drop_leftovers()
    assert not checkpoint.path.exists()


def test_warm_up_epochs_are_run(tmp_path: Path) -> None:
    execute(make(tmp_path, (1, 2, 9), search={"warmup_epochs": 4}))
    runs = load("pruning", root=tmp_path / "results")
    assert runs[runs["status"] == "pruned"]["epochs"].tolist() == [4]


def test_a_run_with_all_its_epochs_is_done(tmp_path: Path) -> None:
    execute(make(tmp_path, (1, 2, 9), search={"warmup_epochs": EPOCHS}))
    assert set(statuses(tmp_path).values()) == {"done"}


def test_a_sampled_search_is_pruned_and_goes_on(tmp_path: Path) -> None:
    search = {"sampler": "random", "trials": 8, "seed": 3}
    study = make(tmp_path, tuple(range(40)), search=search, seeds=(0,))
    execute(study)
    first = statuses(tmp_path)
    assert "pruned" in first.values()
    again, _ = execute(make(tmp_path, tuple(range(40)), search=search, seeds=(0,)))
    assert again.measured == []
    assert statuses(tmp_path) == first


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"search": {"pruner": "mediam"}},
            "search.pruner must be one of: none, median, hyperband; got 'mediam' (did you mean"
            " 'median'?)",
        ),
        (
            {"search": {"objectives": (("rmse", "minimize"), ("num_params", "minimize"))}},
            "search.pruner=median needs exactly one objective, because Optuna prunes by one; got"
            " rmse, num_params; keep one, or set search.pruner=none",
        ),
        (
            {"search": {"objectives": (("top_accuracy", "maximize"),)}},
            "search.pruner=median uses the curve of rmse (minimize), but search.objectives has"
            " maximize top_accuracy; the directions must agree",
        ),
        ({"replicates": 2}, "search.pruner=median needs replicates=1, got 2"),
        (
            {"search": {"warmup_epochs": -1}},
            "search.warmup_epochs must be an integer of at least 0, got -1",
        ),
        (
            {"search": {"reduction_factor": 1}},
            "search.reduction_factor must be an integer of at least 2, got 1",
        ),
    ],
)
def test_searches_that_cannot_be_pruned(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=r"^search\.") as error:
        make(tmp_path, **settings)
    assert str(error.value) == message


def test_a_task_without_a_validation_curve_cannot_be_pruned(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^search\.pruner") as error:
        Study(
            name="x",
            task={"name": "action"},
            layer={"decomposition": "dense"},
            cell={"name": "lstm", "hidden_size": 4},
            training={"epochs": 2},
            space=Space.parse({}, {}),
            search=Search(objectives=(("top_accuracy", "maximize"),), pruner="median"),
        )
    assert str(error.value) == (
        "search.pruner=median needs a validation curve, task action has none: set"
        " task.validation=true"
    )

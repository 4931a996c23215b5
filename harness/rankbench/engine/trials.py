"""Export the rows of a study as Optuna trials, for Optuna's own tools such as its dashboard."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from rankbench.engine.queue import (
    Row,
    branch_distributions,
    by_point,
    open_seeds,
    point_rows,
    sampled_rows,
    trial_result,
)
from rankbench.engine.runner import StudyRun
from rankbench.store.schema import FAILED
from rankbench.study.config import Study
from rankbench.study.feasibility import constraint_violations
from rankbench.study.pruning import Curve, curves


def copy_to(storage: BaseStorage, execution: StudyRun) -> int:
    """Create an Optuna study with a trial for every stored point.

    Args:
        storage: The Optuna storage to write to.
        execution: The study to export.

    Returns:
        The number of trials.

    Raises:
        ValueError: The storage already has a study with this name.
    """
    study = execution.study
    objectives = study.search.objectives
    try:
        copy = optuna.create_study(
            storage=storage,
            study_name=study.name,
            directions=[StudyDirection[direction.upper()] for _, direction in objectives],
        )
    except optuna.exceptions.DuplicatedStudyError:
        raise ValueError(
            f"the storage already has a study named {study.name}; choose another storage"
        ) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        copy.set_metric_names([column for column, _ in objectives])
    copy.set_user_attr("description", study.description)
    exported = list(trials(execution))
    copy.add_trials(exported)
    return len(exported)


def open_storage(where: str) -> BaseStorage:
    """Open an Optuna storage.

    Args:
        where: A URL such as sqlite:///x.db, or the path of a journal file.

    Raises:
        ValueError: The URL cannot be opened.
    """
    if "://" not in where:
        return JournalStorage(JournalFileBackend(where))
    try:
        return RDBStorage(where)
    except Exception as error:  # Every database driver raises exceptions of its own.
        why = str(error).partition("\n")[0]
        raise ValueError(f"--storage cannot be opened: {type(error).__name__}: {why}") from error


def trials(execution: StudyRun) -> Iterator[FrozenTrial]:
    """Make a trial for each point of the grid, or for each sampled point.

    A point whose runs are all stored becomes a complete or pruned trial, a point with a failed run
    becomes a failed trial, and any other point becomes a waiting trial. User attributes are
    point_id, run_ids, statuses, and error if there is one.
    """
    learned = _curves(execution)
    for params, distributions, runs, point_id in _points(execution):
        try:
            trial = _trial(execution.study, params, distributions, runs, learned)
        except ValueError:
            continue  # The space of the study no longer contains the values of this point.
        trial.set_user_attr("point_id", point_id)
        trial.set_user_attr("run_ids", [row["run_id"] for row in runs])
        trial.set_user_attr("statuses", [row["status"] for row in runs])
        errors = [row["error"] for row in runs if row["error"] is not None]
        if errors:
            trial.set_user_attr("error", errors[0])
        yield trial


def _points(
    execution: StudyRun,
) -> Iterator[tuple[dict[str, Any], Mapping[str, BaseDistribution], list[Row], str]]:
    """Iterate over the parameters, distributions, stored rows and id of each point."""
    study, grid = execution.study, execution.grid
    if grid is not None:
        for point_id, point in grid.points.items():
            runs = point_rows(study, point, execution.rows)
            yield grid.params[point_id], grid.distributions, runs, point_id
        return
    for runs in by_point(sampled_rows(study, execution.rows.values())):
        stored = json.loads(runs[0]["params"])
        distributions = branch_distributions(study, stored)
        params = {name: stored[name] for name in distributions}
        yield params, distributions, _in_order(study, runs), str(runs[0]["point_id"])


def _in_order(study: Study, runs: Sequence[Row]) -> list[Row]:
    return sorted(runs, key=lambda row: study.seeds.index(row["seed"]))


def _trial(
    study: Study,
    params: dict[str, Any],
    distributions: Mapping[str, BaseDistribution],
    runs: Sequence[Row],
    learned: Mapping[str, Curve],
) -> FrozenTrial:
    state, values = _state(study, runs)
    curve = learned.get(runs[0]["run_id"], {}) if runs else {}
    if state is TrialState.PRUNED and curve:
        values = [curve[max(curve)]]  # Optuna also gives a pruned trial its last reported value.
    trial = create_trial(
        state=state,
        values=values,
        intermediate_values=curve,
        params=params,
        distributions={name: distributions[name] for name in params},
        constraints=constraint_violations(study, runs) if state is TrialState.COMPLETE else None,
    )
    _set_times(trial, runs)
    return trial


def _state(study: Study, runs: Sequence[Row]) -> tuple[TrialState, list[float] | None]:
    if runs and not open_seeds(study, runs):
        return trial_result(study, runs)
    failed = any(row["status"] in FAILED for row in runs)
    return (TrialState.FAIL if failed else TrialState.WAITING), None


def _set_times(trial: FrozenTrial, runs: Sequence[Row]) -> None:
    """Set start and end to those of the first and the last run, in local time as Optuna does."""
    timed = [row for row in runs if row["started_at"] is not None]
    if not timed or trial.state is TrialState.WAITING:
        return
    ends = [row["started_at"] + timedelta(seconds=row["duration_s"] or 0.0) for row in timed]
    trial.datetime_start = min(row["started_at"] for row in timed).astimezone().replace(tzinfo=None)
    trial.datetime_complete = max(ends).astimezone().replace(tzinfo=None)


def _curves(execution: StudyRun) -> dict[str, Curve]:
    monitor = execution.study.monitor()
    if monitor is None:
        return {}
    rows = execution.store.read("epochs", ["run_id", "epoch", monitor[0]])
    return curves(rows.to_pylist(), monitor[0])

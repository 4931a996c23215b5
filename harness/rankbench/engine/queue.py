"""The trial queue of a study: an Optuna journal of finished and waiting trials.

Parquet is the source of truth. The journal is rebuilt from it whenever a study is run, so that a
lost or torn journal, a killed worker and an enlarged search space need no special handling.
"""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from rankbench.store.schema import FINISHED, PRUNED
from rankbench.study.config import Study
from rankbench.study.feasibility import constraint_violations, exceeded_limits
from rankbench.study.pruning import Curve, add_told, build_pruner
from rankbench.study.space import encode
from rankbench.tasks.base import Point

Row = dict[str, Any]
T = TypeVar("T")
JOURNAL = "optuna.journal"
POPULATION = 50  # Points of a generation; Optuna's default.


@dataclass
class Grid:
    """An enumerated search space."""

    distributions: dict[str, BaseDistribution]
    """Optuna distribution of each parameter."""
    points: dict[str, Point] = field(default_factory=dict)
    """Valid points by id."""
    params: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Optuna parameters of each point, by id."""
    skipped: Counter[str] = field(default_factory=Counter)
    """Number of points that are invalid or exceed a limit, by reason."""
    duplicates: int = 0
    """Number of settings that give a point already in `points`."""


def enumerate_grid(study: Study) -> Grid:
    """Enumerate the valid points of a grid, each once, and count the others by reason.

    Raises:
        ValueError: The space contains no valid point.
    """
    grid = Grid(study.space.wide())
    for settings in study.space.grid():
        try:
            point = study.point(settings)
        except ValueError as reason:
            grid.skipped[str(reason)] += 1
            continue
        outside = exceeded_limits(study, point)
        if outside is not None:
            grid.skipped[outside] += 1
            continue
        if point.point_id in grid.points:
            grid.duplicates += 1
            continue
        grid.points[point.point_id] = point
        grid.params[point.point_id] = {key: encode(value) for key, value in settings.items()}
    if not grid.points:
        reasons = "; ".join(f"{reason} ({count})" for reason, count in grid.skipped.items())
        raise ValueError(f"study {study.name} has no valid point: {reasons}")
    return grid


def unfinished_seeds(study: Study, point: Point, rows: Mapping[str, Row]) -> list[int]:
    """Return the seeds of a point that still have to be run, given all rows by run_id."""
    return open_seeds(study, point_rows(study, point, rows))


def open_seeds(study: Study, runs: Sequence[Row]) -> list[int]:
    """Return the seeds of a point that still have to be run, given its stored rows."""
    if is_pruned(study, runs):
        return []
    ended = {row["seed"] for row in runs if row["status"] in final_statuses(study)}
    return [seed for seed in study.seeds if seed not in ended]


def count_settled_runs(study: Study, rows: Iterable[Row]) -> int:
    """Count the runs of the points in `rows` that have ended or that pruning skips."""
    return sum(len(study.seeds) - len(open_seeds(study, runs)) for runs in by_point(rows))


def final_statuses(study: Study) -> tuple[str, ...]:
    """Return the statuses of runs that are not measured again."""
    pruning = study.search.pruner != "none"
    return FINISHED if pruning else tuple(status for status in FINISHED if status != PRUNED)


def point_rows(study: Study, point: Point, rows: Mapping[str, Row]) -> list[Row]:
    """Return the stored rows of a point, in the order of the study's seeds."""
    ids = [point.run_id(seed) for seed in study.seeds]
    return [rows[run_id] for run_id in ids if run_id in rows]


def is_pruned(study: Study, runs: Iterable[Row]) -> bool:
    """Return whether the pruner stopped a point, so that its other seeds are not run."""
    return PRUNED in final_statuses(study) and any(row["status"] == PRUNED for row in runs)


def trial_result(study: Study, runs: Sequence[Row]) -> tuple[TrialState, list[float] | None]:
    """Return the state and the objective values to report to Optuna for an ended point."""
    if is_pruned(study, runs):
        return TrialState.PRUNED, None
    values = objective_values(study, runs)
    return (TrialState.FAIL if values is None else TrialState.COMPLETE), values


def objective_values(study: Study, rows: Sequence[Row]) -> list[float] | None:
    """Average the objectives over seeds; None unless all runs are done and all means finite."""
    if any(row["status"] != "done" for row in rows):
        return None
    columns: list[list[Any]] = [
        [row.get(name) for row in rows] for name, _ in study.search.objectives
    ]
    means = [math.nan if None in column else statistics.fmean(column) for column in columns]
    return means if all(math.isfinite(mean) for mean in means) else None


class InMemoryJournal(BaseJournalBackend):
    """An Optuna journal in memory."""

    def __init__(self) -> None:
        self.logs: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        return iter(self.logs[log_number_from:])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.logs.extend(logs)


class TrialQueue:
    """The Optuna storage of one study, from which the workers claim trials."""

    def __init__(self, study: Study, folder: Path) -> None:
        self.study = study
        self.folder = folder
        self._curves: Mapping[str, Curve] = {}
        self._told = 0
        self._listed: deque[int] = deque()

    def build(
        self, grid: Grid | None, rows: Mapping[str, Row], curves: Mapping[str, Curve]
    ) -> None:
        """Rebuild the journal from Parquet: finished points become finished trials, others wait.

        The caller must hold the study's lock: no other process may have the journal open.

        Args:
            grid: The enumerated points; None for a sampled search.
            rows: Stored row of each run_id.
            curves: Validation curve of each run_id; needed only with a pruner.
        """
        self._curves, self._told = curves, 0
        self.folder.mkdir(parents=True, exist_ok=True)
        for stale in self.folder.glob(f"{JOURNAL}*"):
            stale.unlink()
        known = self._fill(grid, rows)
        if grid is None:
            assert self.study.search.trials is not None
            for _ in range(self.study.search.trials - known):
                self._create.enqueue_trial({})
        self._storage = self._journal()

    def _fill(self, grid: Grid | None, rows: Mapping[str, Row]) -> int:
        # In memory, a pruner reads old curves a hundred times faster than from a journal.
        self._create = self._new_study(InMemoryStorage())
        if grid is not None:
            self._fill_from_grid(grid, rows)
            return len(grid.points)
        return self._fill_from_rows(rows)

    def _journal(self) -> JournalStorage:
        """Write all trials to a journal on disk at once, which is faster than one by one."""
        logs = InMemoryJournal()
        self._new_study(JournalStorage(logs)).add_trials(self._create.trials)
        file = JournalFileBackend(str(self.folder / JOURNAL))
        file.append_logs(logs.logs)
        return JournalStorage(file)

    def _new_study(self, storage: BaseStorage) -> optuna.Study:
        directions = [StudyDirection[name.upper()] for _, name in self.study.search.objectives]
        return optuna.create_study(
            storage=storage,
            study_name=self.study.name,
            directions=directions,
            pruner=build_pruner(self.study.search),
        )

    def claim(self, sampler: BaseSampler) -> Trial | None:
        """Claim a waiting trial for this worker; return None when none is waiting."""
        storage, name = self._storage, self.study.name
        pruner = build_pruner(self.study.search)
        study = optuna.load_study(study_name=name, storage=storage, sampler=sampler, pruner=pruner)
        while (trial_id := self._next_waiting()) is not None:
            try:
                if storage.set_trial_state_values(trial_id, TrialState.RUNNING):
                    return Trial(study, trial_id)
            except optuna.exceptions.UpdateFinishedTrialError:
                continue
        return None

    def _next_waiting(self) -> int | None:
        """Return the next listed trial. Listing takes time linear in the number of trials."""
        try:
            return self._listed.popleft()
        except IndexError:
            study_id = self._storage.get_study_id_from_name(self.study.name)
            listed = self._storage.get_all_trials(study_id, False, (TrialState.WAITING,))
            self._listed.extend(trial._trial_id for trial in listed[1:])
            return listed[0]._trial_id if listed else None

    def tell(self, trial: Trial, values: Sequence[float] | None, state: TrialState) -> None:
        """Report the result of a trial to Optuna."""
        trial.study.tell(trial, values, state)

    def identify(self, trial: Trial, point_id: str) -> None:
        """Store the id of its point in a trial that does not have it."""
        if trial.user_attrs.get("point_id") != point_id:
            trial.set_user_attr("point_id", point_id)

    def is_repeated(self, trial: Trial) -> bool:
        """Return whether another worker may have measured runs of the trial's point."""
        return False

    def with_retry(self, call: Callable[[], T]) -> T:
        """Call a function that uses the storage. Shared queues retry it."""
        return call()

    def sampler(self, worker: int, finished: int) -> BaseSampler:
        """Return a worker's sampler; `finished` varies its seed, so that new points are drawn."""
        seed = hash((self.study.search.seed, worker, finished)) % 2**32
        match self.study.search.sampler:
            case "tpe":
                return TPESampler(seed=seed, constant_liar=True)
            case "nsga2":
                return NSGAIISampler(seed=seed, population_size=POPULATION)
            case _:
                return RandomSampler(seed=seed)

    def _fill_from_grid(self, grid: Grid, rows: Mapping[str, Row]) -> None:
        for point_id, point in grid.points.items():
            params, attributes = grid.params[point_id], {"point_id": point_id}
            if unfinished_seeds(self.study, point, rows):
                self._enqueue(params, grid.distributions, attributes)
            else:
                runs = point_rows(self.study, point, rows)
                self._add_finished(params, grid.distributions, runs, attributes)

    def _fill_from_rows(self, rows: Mapping[str, Row]) -> int:
        known = 0
        for runs in by_point(sampled_rows(self.study, rows.values())):
            stored, attributes = json.loads(runs[0]["params"]), {"point_id": runs[0]["point_id"]}
            distributions = branch_distributions(self.study, stored)
            params = {name: stored[name] for name in distributions}
            if open_seeds(self.study, runs):
                self._enqueue(params, distributions, attributes)
                known += 1
            else:
                known += self._add_finished(params, distributions, runs, attributes)
        return known

    def _enqueue(
        self,
        params: dict[str, Any],
        distributions: Mapping[str, BaseDistribution],
        attributes: dict[str, Any],
    ) -> None:
        self._create.add_trial(waiting_trial(params, distributions, attributes))

    def _add_finished(
        self,
        params: dict[str, Any],
        distributions: Mapping[str, BaseDistribution],
        runs: Sequence[Row],
        attributes: dict[str, Any],
    ) -> bool:
        """Add a finished trial; return False if the space no longer contains its values."""
        first = min(runs, key=lambda row: self.study.seeds.index(row["seed"]))
        curve = self._curves.get(first["run_id"], {})
        state, values = trial_result(self.study, runs)
        if state is TrialState.PRUNED and curve:
            values = [curve[max(curve)]]  # Optuna also gives a pruned trial its last value.
        complete = state is TrialState.COMPLETE
        try:
            trial = create_trial(
                state=state,
                values=values,
                intermediate_values=curve,
                params=params,
                distributions={name: distributions[name] for name in params},
                user_attrs=attributes,
                system_attrs=self._generation(),
                constraints=constraint_violations(self.study, runs) if complete else None,
            )
        except ValueError:
            return False
        add_told(self._create, trial)
        self._told += complete
        return True

    def _generation(self) -> dict[str, Any]:
        """Return the attribute without which NSGA-II ignores a finished trial."""
        if self.study.search.sampler != "nsga2":
            return {}
        return {NSGAIISampler._get_generation_key(): self._told // POPULATION}


def waiting_trial(
    params: dict[str, Any],
    distributions: Mapping[str, BaseDistribution],
    attributes: dict[str, Any],
) -> FrozenTrial:
    """Return a waiting trial with fixed parameters, so that its worker need not write them."""
    return create_trial(
        state=TrialState.WAITING,
        params=params,
        distributions={name: distributions[name] for name in params},
        user_attrs=attributes,
    )


def branch_distribution(study: Study) -> dict[str, BaseDistribution]:
    """Return the choice of a branch, which is drawn first; empty if there is only one."""
    names = list(study.space.branches)
    return {"branch": CategoricalDistribution(names)} if len(names) > 1 else {}


def branch_distributions(study: Study, params: Mapping[str, Any]) -> dict[str, BaseDistribution]:
    """Return all distributions from which a sampler drew `params`."""
    return {**branch_distribution(study), **study.space.narrow(branch_of(study, params))}


def branch_of(study: Study, params: Mapping[str, Any]) -> str:
    """Return the branch to which sampled parameters belong."""
    return str(params.get("branch", next(iter(study.space.branches))))


def sampled_rows(study: Study, rows: Iterable[Row]) -> list[Row]:
    """Return the rows that a sampler could have drawn in this study, for one of its seeds."""
    return [row for row in rows if row["seed"] in study.seeds and _is_sampled(study, row)]


def _is_sampled(study: Study, row: Row) -> bool:
    params = json.loads(row["params"])
    branch = branch_of(study, params)
    try:
        point = study.point(study.space.settings(branch, params))
    except (KeyError, ValueError):
        return False
    return point.point_id == str(row["point_id"]) and exceeded_limits(study, point) is None


def suggest(trial: Trial, distributions: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """Draw a value from each distribution."""
    return {name: _suggest(trial, name, found) for name, found in distributions.items()}


def _suggest(trial: Trial, name: str, found: BaseDistribution) -> Any:
    match found:
        case IntDistribution():
            return trial.suggest_int(name, found.low, found.high, step=found.step, log=found.log)
        case FloatDistribution():
            return trial.suggest_float(name, found.low, found.high, step=found.step, log=found.log)
        case CategoricalDistribution():
            return trial.suggest_categorical(name, found.choices)
    raise TypeError(f"no way to suggest from {found}")


def by_point(rows: Iterable[Row]) -> list[list[Row]]:
    """Group rows by point."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["point_id"], []).append(row)
    return list(groups.values())

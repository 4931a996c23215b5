"""What must hold after any fault: each point and seed has one good row, and nobody is left."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from rankbench.engine.queue import JOURNAL, enumerate_grid
from rankbench.engine.shared_queue import storage_name
from rankbench.store.schema import FAILED
from rankbench.store.store import Store
from tests.faults.place import NAME, Place
from tests.faults.task import EPOCHS, MISHAPS, known


@dataclass(frozen=True, kw_only=True)
class Audit:
    """How many runs there should be, and what is wrong with them.

    `lost`: without a row, or without its epochs; `double`: with more; `wrong`: with another
    status or result than the run has; `left`: processes still alive; `open`: trials that the
    storage takes for waiting or running.
    """

    runs: int
    lost: int
    double: int
    wrong: int
    left: int
    open: int

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.double or self.wrong or self.left or self.open)


def audit(place: Place) -> Audit:
    """Look at what a study left once it has ended."""
    study = place.study()
    store = Store(study.results, NAME)
    expected = {
        point.run_id(seed): (point.task.value, seed)  # type: ignore[attr-defined]
        for point in enumerate_grid(study).points.values()
        for seed in study.seeds
    }
    runs = store.read("runs").to_pylist()
    counts = Counter(row["run_id"] for row in runs)
    epochs = Counter(row["run_id"] for row in store.read("epochs", ["run_id"]).to_pylist())
    unruly = bool(study.task.get("unruly"))
    return Audit(
        runs=len(expected),
        lost=sum(not counts[run] or epochs[run] < EPOCHS for run in expected),
        double=sum(counts[run] > 1 or epochs[run] > EPOCHS for run in expected),
        wrong=len(counts.keys() - expected.keys())
        + sum(not _is_good(row, *expected[row["run_id"]], unruly) for row in runs),
        left=place.clear(),
        open=_open_trials(place),
    )


def _is_good(row: dict[str, Any], value: int, seed: int, unruly: bool) -> bool:
    status = MISHAPS[value][1] if unruly and value in MISHAPS else "done"
    good: bool = row["status"] == status
    return good and (status in FAILED or row["rmse"] == known(value, seed))


def _open_trials(place: Place) -> int:
    """Trials that wait or run, and points that were told twice."""
    trials = optuna.load_study(study_name=_name(place), storage=_storage(place)).trials
    told = Counter(
        trial.params.get("task.value") for trial in trials if trial.state is TrialState.COMPLETE
    )
    live = sum(not trial.state.is_finished() for trial in trials)
    return live + sum(count > 1 for count in told.values())


def _name(place: Place) -> str:
    study = place.study()
    return storage_name(study, enumerate_grid(study)) if place.server else NAME


def _storage(place: Place) -> BaseStorage | str:
    if place.server:
        address: str = place.settings["storage"]
        return address.replace("postgresql://", "postgresql+psycopg://")
    return JournalStorage(JournalFileBackend(str(place.runs.parent / JOURNAL)))

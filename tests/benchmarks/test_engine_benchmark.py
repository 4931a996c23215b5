"""What the engine costs a trivial run, beside Optuna alone; what more workers give.

`python -m tests.benchmarks.test_engine_benchmark [FINISHED ...]` prints CPU milliseconds a trial
after 100 and 10 000 finished ones: of our whole engine (claim, child process, Parquet, tell) and
of Optuna's samplers that enumerate a space, which call the objective in the same process. All
have a journal. Then runs a second of compute-bound runs of about a second with 1 and with 4
workers, in turns: medians of five.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import optuna
import psutil
import pyarrow.parquet as pq
import pytest
import torch
from optuna.samplers import BaseSampler, BruteForceSampler, GridSampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState, create_trial

from rankbench.engine.child import run_in_child
from rankbench.engine.queue import InMemoryJournal, Row
from rankbench.engine.runner import StudyRun
from rankbench.layers.settings import LayerSettings
from rankbench.store.parquet_file import to_arrow
from rankbench.study.config import Search, Study
from rankbench.study.space import Space
from rankbench.tasks import TASKS
from rankbench.tasks.base import Context, Point, RunCost, Task
from rankbench.tasks.base import Row as TaskRow
from tests.engine.test_study import Silent

NAMES = ("a", "b", "c", "d")
CHOICES = {"a": list(range(11)), **{name: list(range(10)) for name in NAMES[1:]}}  # 11 000 points
COUNTED = 50
SECOND = 2000  # products that take about a second
DISTRIBUTIONS = {
    name: optuna.distributions.CategoricalDistribution(values) for name, values in CHOICES.items()
}


@dataclass(frozen=True, kw_only=True)
class Sum(Task):
    """The sum of its settings, after so many `products` of matrices."""

    name: ClassVar[str] = "sum"
    uses_cell: ClassVar[bool] = False
    trains: ClassVar[bool] = False

    a: int = 0
    b: int = 0
    c: int = 0
    d: int = 0
    products: int = 0

    def sizes(self) -> tuple[int, int]:
        return 4, 4

    def check(self, point: Point) -> None: ...

    def describe(self) -> dict[str, Any]:
        return {}

    def run_cost(self, point: Point) -> RunCost:
        return RunCost(flops=1.0, calls=1, steps=1)

    def run(self, point: Point, context: Context) -> Iterator[TaskRow]:
        matrix = torch.eye(256)
        for _ in range(self.products):
            matrix = matrix @ matrix
        yield "runs", {"rmse": float(self.a + self.b + self.c + self.d)}


class Clock(Silent):
    """Reads CPU and wall time when run `first` and run `last` have finished, then stops."""

    def __init__(self, last: int, first: int = 0) -> None:
        self.first, self.last, self.finished_runs = first, last, 0
        self.lock, self.stop = threading.Lock(), threading.Event()
        self.readings: dict[int, tuple[float, float]] = {}

    def on_run_started(self, worker: int, point: Point, seed: int) -> None:
        with self.lock:
            if not self.readings:
                self.readings[0] = (cpu_s(), time.perf_counter())

    def on_run_finished(self, worker: int, row: Row) -> None:
        assert row["status"] in ("done", "interrupted"), row["error"]
        with self.lock:
            self.finished_runs += 1
            if self.finished_runs in (self.first, self.last):
                self.readings[self.finished_runs] = (cpu_s(), time.perf_counter())
            if self.finished_runs == self.last:
                self.stop.set()

    def taken(self) -> tuple[float, float]:
        """CPU and wall seconds a run."""
        (cpu, wall), (cpu_after, wall_after) = self.readings[self.first], self.readings[self.last]
        runs = self.last - self.first
        return (cpu_after - cpu) / runs, (wall_after - wall) / runs


def cpu_s() -> float:
    """CPU seconds of this process and all below it, those included that have ended."""
    total = time.process_time()
    for process in psutil.Process().children(recursive=True):
        times = process.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
    return total


def study_of(folder: Path, space: dict[str, Any], workers: int = 1, **task: Any) -> Study:
    TASKS["sum"] = Sum
    return Study(
        name="cost",
        task={"name": "sum", **task},
        layer={"decomposition": "dense"},
        space=Space.parse({"task": space}, {}),
        search=Search(objectives=(("rmse", "minimize"),)),
        workers=workers,
        threads=1,
        device="cpu",
        results=str(folder),
    )


def execute(study: Study, clock: Clock) -> StudyRun:
    execution = StudyRun(study)
    execution.state.stop = clock.stop
    execution.run(clock)
    return execution


def engine_s(finished: int) -> float:
    """CPU seconds of a run of ours, once so many others are in Parquet and in the journal."""
    with tempfile.TemporaryDirectory() as name:
        study = study_of(Path(name), {key: tuple(values) for key, values in CHOICES.items()})
        points = list(StudyRun(study).grid.points.values())[:finished]  # type: ignore[union-attr]
        rows = [
            {"study": "cost", "run_id": point.run_id(0), "point_id": point.point_id, "seed": 0}
            | {"status": "done", "rmse": 1.0}
            for point in points
        ]
        folder = Path(name) / "cost" / "runs"
        folder.mkdir(parents=True)
        pq.write_table(to_arrow("runs", rows), folder / "compact-1.parquet")
        clock = Clock(first=10, last=10 + COUNTED)
        execute(study, clock)
        return clock.taken()[0]


def optuna_s(sampler: BaseSampler, finished: int, trials: int) -> float:
    """CPU seconds of a trial of Optuna's own, once so many others are finished."""
    logs = InMemoryJournal()
    study = optuna.create_study(storage=JournalStorage(logs), study_name="cost")
    grid = itertools.islice(itertools.product(*CHOICES.values()), finished)
    for number, values in enumerate(grid):
        params = dict(zip(NAMES, values, strict=True))
        attributes = {"grid_id": number, "search_space": CHOICES}
        study.add_trial(
            create_trial(
                state=TrialState.COMPLETE,
                value=1.0,
                params=params,
                distributions=DISTRIBUTIONS,
                system_attrs=attributes if isinstance(sampler, GridSampler) else {},
            )
        )
    with tempfile.TemporaryDirectory() as folder:
        journal = JournalFileBackend(str(Path(folder) / "journal"))
        journal.append_logs(logs.logs)
        storage = JournalStorage(journal)
        study = optuna.load_study(study_name="cost", storage=storage, sampler=sampler)
        study.optimize(_objective, n_trials=1)
        began = time.process_time()
        study.optimize(_objective, n_trials=trials)
        return (time.process_time() - began) / trials


def _objective(trial: optuna.Trial) -> float:
    return float(sum(trial.suggest_categorical(name, CHOICES[name]) for name in NAMES))


def runs_a_second(workers: int, runs: int, products: int) -> float:
    """Compute-bound runs a second of one thread each, from the first start to the last end."""
    with tempfile.TemporaryDirectory() as name:
        space = {"a": tuple(range(runs))}
        clock = Clock(last=runs)
        execute(study_of(Path(name), space, workers, products=products), clock)
        return 1 / clock.taken()[1]


@pytest.mark.benchmark(group="engine")
def test_a_trivial_run_in_a_child(benchmark: Any) -> None:
    layer = LayerSettings(decomposition="dense").resolve(4, 4)
    point, stop = Point(task=Sum(a=1), layer=layer), threading.Event()

    def run() -> Any:
        return run_in_child(point, [Context(seed=0)], time_limit_s=60.0, stop=stop)

    (outcome,) = benchmark.pedantic(run, rounds=30, warmup_rounds=2)
    assert (outcome.status, outcome.facts["rmse"]) == ("done", 1.0)


def main(*finished: int) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    print("CPU ms a trial")
    print(f"{'finished':>8} {'ours':>8} {'GridSampler':>12} {'BruteForceSampler':>18}", flush=True)
    for number in finished or (100, 10_000):
        trials = 20 if number > 1000 else COUNTED
        ours = engine_s(number) * 1e3
        grid = optuna_s(GridSampler(CHOICES), number, trials) * 1e3
        brute = optuna_s(BruteForceSampler(), number, trials) * 1e3
        print(f"{number:>8} {ours:>8.1f} {grid:>12.1f} {brute:>18.1f}", flush=True)
    print("workers  runs a second  (compute-bound, one thread each)")
    runs_a_second(2, 4, 1)  # starts the processes that runs are forks of
    pairs = [(runs_a_second(1, 8, SECOND), runs_a_second(4, 16, SECOND)) for _ in range(5)]
    alone, shared = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    times = sorted(shared / alone for alone, shared in pairs)
    print(f"      1 {alone:>14.2f}\n      4 {shared:>14.2f}", end="")
    print(f"  {statistics.median(times):.2f} times ({times[0]:.2f} to {times[-1]:.2f})")


if __name__ == "__main__":
    main(*(int(number) for number in sys.argv[1:]))

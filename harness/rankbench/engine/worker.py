"""The worker loop: claim a trial, run its seeds, write Parquet, then report to Optuna."""

from __future__ import annotations

import datetime
import json
import math
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from optuna.trial import Trial, TrialState

from rankbench.engine.child import run_in_child
from rankbench.engine.exclusive import hold_machine
from rankbench.engine.execute import Outcome
from rankbench.engine.placement import place
from rankbench.engine.queue import (
    Grid,
    Row,
    TrialQueue,
    branch_distribution,
    branch_of,
    final_statuses,
    is_pruned,
    point_rows,
    suggest,
    trial_result,
    unfinished_seeds,
)
from rankbench.measure.machine import provenance
from rankbench.store.artifacts import Artifacts
from rankbench.store.location import study_folder
from rankbench.store.schema import FINISHED, RETRIED
from rankbench.store.store import Store
from rankbench.study.config import Study
from rankbench.study.feasibility import (
    constrain,
    constraint_violations,
    exceeded_limits,
    limit_violations,
)
from rankbench.study.pruning import Curve, PruningMonitor
from rankbench.tasks.base import Context, Point
from rankbench.tasks.facts import point_facts
from rankbench.training.checkpoint import Checkpoint

MOST_REJECTED = 500  # Number of consecutive rejected draws that do not count as trials.


class ProgressListener(Protocol):
    """Receives progress events, called from worker threads.

    `on_run_started` is called for each seed before its run, `on_row` for each row that a run sends,
    `on_run_finished` when the row of a run has been stored, and `on_runs_skipped` with the number
    of runs that are not measured because their point was pruned.
    """

    def on_run_started(self, worker: int, point: Point, seed: int) -> None: ...
    def on_row(self, worker: int, table: str, row: Row) -> None: ...
    def on_run_finished(self, worker: int, row: Row) -> None: ...
    def on_runs_skipped(self, point: Point, runs: int) -> None: ...


@dataclass(kw_only=True)
class StudyState:
    """State of a study that all workers of a process share."""

    study: Study
    """The study."""
    store: Store
    """Where the rows are stored."""
    queue: TrialQueue
    """Queue from which the workers claim trials."""
    grid: Grid | None
    """The enumerated points; None for a sampled search."""
    rows: dict[str, Row]
    """Row of every run, stored or new, by run_id."""
    measured: list[Row] = field(default_factory=list)
    """Rows of the runs that this process has measured."""
    skipped: Counter[str] = field(default_factory=Counter)
    """Number of points that are invalid or exceed a limit, by reason."""
    curves: dict[str, Curve] = field(default_factory=dict)
    """Validation curve of each run_id; empty without a pruner."""
    rejected: int = 0
    """Consecutive draws that exceeded a limit, so far."""
    stop: threading.Event = field(default_factory=threading.Event)
    """Set when the workers should claim nothing more."""
    failure: BaseException | None = None
    """Exception that stopped a worker, if any."""

    def has_ended(self, run_id: str) -> bool:
        """Return whether a run is finished and will not be measured again."""
        return self.rows.get(run_id, {}).get("status") in final_statuses(self.study)

    def reload(self) -> None:
        """Read the rows that other processes have written."""
        self.rows.update({row["run_id"]: row for row in self.store.read("runs").to_pylist()})

    def checkpoint(self, run_id: str) -> Checkpoint:
        """Return the checkpoint from which a run can be resumed."""
        folder = str(checkpoints(self.study).absolute())
        return Checkpoint(folder=folder, run_id=run_id, every_s=self.study.checkpoint_s)


class Worker:
    """A worker: claims trials and measures them until the queue is empty or `stop` is set.

    Args:
        number: Index of the worker in its process, from 0.
        ledger: State that the workers of the process share.
        listener: Receives progress events.
    """

    def __init__(self, number: int, ledger: StudyState, listener: ProgressListener) -> None:
        self.number, self.state, self.listener = number, ledger, listener
        self.study = ledger.study
        self.place = place(self.study, number)

    def work(self) -> None:
        """Run trials until none is waiting.

        An exception stops all workers of the process and is stored in `StudyState.failure`.
        """
        queue = self.state.queue
        sampler = queue.sampler(self.number, len(self.state.rows))
        try:
            while not self.state.stop.is_set():
                trial = queue.claim(sampler)
                if trial is None:
                    return
                self._run_trial(trial)
        except BaseException as failure:
            # The other workers would fail likewise, for example because the disk is full.
            self.state.failure = failure
            self.state.stop.set()

    def _run_trial(self, trial: Trial) -> None:
        queue = self.state.queue
        try:
            point = queue.with_retry(lambda: self._point(trial))
        except ValueError as reason:
            self.state.skipped[str(reason)] += 1
            queue.tell(trial, None, TrialState.FAIL)
            return
        outside = exceeded_limits(self.study, point)
        if outside is not None:
            self._reject(trial, point, outside)
            return
        self.state.rejected = 0
        queue.identify(trial, point.point_id)
        if queue.is_repeated(trial):
            self.state.reload()
        if not self._measure(trial, point):
            return
        runs = point_rows(self.study, point, self.state.rows)
        state, values = trial_result(self.study, runs)
        if state is TrialState.COMPLETE:
            queue.with_retry(lambda: constrain(trial, constraint_violations(self.study, runs)))
        queue.tell(trial, values, state)

    def _measure(self, trial: Trial, point: Point) -> bool:
        """Run the missing seeds of a point; return False if the worker was stopped first."""
        seeds = unfinished_seeds(self.study, point, self.state.rows)
        monitor = self._pruning_monitor(trial, point)
        for first in range(0, len(seeds), self.study.replicates):
            if self.state.stop.is_set():
                return False
            group = seeds[first : first + self.study.replicates]
            monitored = monitor if self.study.seeds[0] in group else None
            self._run_seeds(point, group, trial.params, monitored)
            rows = [self.state.rows[point.run_id(seed)] for seed in group]
            if any(row["status"] == "interrupted" for row in rows):
                return False
            if is_pruned(self.study, point_rows(self.study, point, self.state.rows)):
                self.listener.on_runs_skipped(point, len(seeds) - first - len(group))
                break
        return True

    def _reject(self, trial: Trial, point: Point, reason: str) -> None:
        """Report a drawn point that exceeds a limit to Optuna, and enqueue another draw.

        Nothing is measured. Optuna gets the worst possible objectives, with the violations as
        constraints. After `MOST_REJECTED` consecutive rejections a draw uses up its trial, because
        there may be no point within the limits.
        """
        self.state.skipped[reason] += 1
        self.state.rejected += 1
        queue = self.state.queue
        if self.state.rejected <= MOST_REJECTED:
            queue.with_retry(lambda: trial.study.enqueue_trial({}))
        queue.with_retry(lambda: constrain(trial, limit_violations(self.study, point)))
        queue.identify(trial, point.point_id)
        signs = {"minimize": math.inf, "maximize": -math.inf}
        worst = [signs[way] for _, way in self.study.search.objectives]
        queue.tell(trial, worst, TrialState.COMPLETE)

    def _pruning_monitor(self, trial: Trial, point: Point) -> PruningMonitor | None:
        """Return the monitor that may prune the run of the first seed, or None without a pruner.

        If that run is already stored, its curve is reported to the pruner.
        """
        metric = point.task.monitor()
        if self.study.search.pruner == "none" or metric is None or point.training is None:
            return None
        monitor = PruningMonitor(trial, metric, point.training.epochs)
        monitor.report(self.state.curves.get(point.run_id(self.study.seeds[0]), {}))
        return monitor

    def _run_seeds(
        self,
        point: Point,
        seeds: Sequence[int],
        params: dict[str, Any],
        monitor: PruningMonitor | None,
    ) -> None:
        """Run one seed, or several as one program, and write a row for each.

        Failed runs are retried; only the last attempt is written.
        """
        for seed in seeds:
            self.listener.on_run_started(self.number, point, seed)
        left = list(seeds)
        for attempt in range(1, self.study.retries + 2):
            again = attempt <= self.study.retries
            measured = self._attempt(point, left, monitor)
            left = []
            for row, outcome in measured:
                if again and row["status"] in RETRIED and not self.state.stop.is_set():
                    left.append(row["seed"])
                    continue
                row |= {
                    "params": json.dumps(params, sort_keys=True),
                    "search": self.study.search.asked(),
                    "attempts": attempt,
                }
                self._write(row, outcome)
                self.listener.on_run_finished(self.number, row)
            if not left:
                return

    def _attempt(
        self, point: Point, seeds: Sequence[int], monitor: PruningMonitor | None
    ) -> list[tuple[Row, Outcome]]:
        """Run seeds as one program, and return the row and outcome of each."""

        def on_row(table: str, row: Row) -> None:
            self.listener.on_row(self.number, table, row)
            if monitor is not None:
                monitor.on_row(table, row)

        with hold_machine(alone=self._is_alone(point), stop=self.state.stop):
            facts = {**self._provenance(), "replicates": len(seeds)}
            began = time.monotonic()
            outcomes = run_in_child(
                point,
                [self._context(point, seed, len(seeds)) for seed in seeds],
                time_limit_s=self.study.time_limit_s,
                memory_limit_gb=self.study.memory_limit_gb,
                environment=self.place.environment,
                stop=self.state.stop,
                on_row=on_row,
                prune_reason=lambda: monitor.prune_reason if monitor is not None else None,
            )
        facts["duration_s"] = (time.monotonic() - began) / len(seeds)
        pairs = zip(seeds, outcomes, strict=True)
        return [({**facts, **self._row(point, seed, end)}, end) for seed, end in pairs]

    def _is_alone(self, point: Point) -> bool:
        return point.task.times() if self.study.alone == "auto" else bool(self.study.alone)

    def _provenance(self) -> Row:
        """Return the columns that describe the machine, and the start time."""
        return {
            **provenance(self.place.device, self.place.gpu_index or 0),
            "gpu_index": self.place.gpu_index,
            "threads": self.place.threads,
            "started_at": datetime.datetime.now(datetime.UTC),
        }

    def _context(self, point: Point, seed: int, together: int) -> Context:
        """Return the context of a run. Runs that share a program keep no checkpoint."""
        kept = together == 1 and self.study.checkpoint_s > 0
        return Context(
            seed=seed,
            device=self.place.device,
            threads=self.place.threads,
            checkpoint=self.state.checkpoint(point.run_id(seed)) if kept else None,
        )

    def _row(self, point: Point, seed: int, outcome: Outcome) -> Row:
        return {
            "run_id": point.run_id(seed),
            "seed": seed,
            "status": outcome.status,
            "error": outcome.error,
            "traceback": outcome.traceback,
            "config": json.dumps(point.config(), sort_keys=True),
            **point_facts(point),
            **outcome.facts,
        }

    def _write(self, row: Row, outcome: Outcome) -> None:
        if row["status"] not in FINISHED and self.study.storage:
            self.state.reload()
            if self.state.has_ended(row["run_id"]):
                return  # The trial was given to another worker, which has finished it.
        if row["status"] == "done":  # Files first: once the row exists, they must be complete.
            files = Artifacts(self.study.results, self.study.name)
            files.write(row["run_id"], outcome.files)
        self.state.store.write_run({**outcome.tables, "runs": [row]})
        self.state.rows[row["run_id"]] = row
        self.state.measured.append(row)
        if row["status"] in FINISHED:
            self.state.checkpoint(row["run_id"]).drop()

    def _point(self, trial: Trial) -> Point:
        space = self.study.space
        if self.state.grid is not None:
            point_id = trial.user_attrs["point_id"]
            return self.state.grid.points[point_id]
        branch = branch_of(self.study, suggest(trial, branch_distribution(self.study)))
        params = suggest(trial, space.narrow(branch))
        return self.study.point(space.settings(branch, params))


def checkpoints(study: Study) -> Path:
    """Return the folder of a study's checkpoints."""
    return study_folder(study.results, study.name) / "checkpoints"

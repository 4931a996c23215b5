"""Run a study: workers claim trials, run their seeds, write Parquet, then tell Optuna."""

from __future__ import annotations

import datetime
import fcntl
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import optuna
import torch
from optuna.trial import Trial, TrialState

from harness.checkpoint import Checkpoint
from harness.config import Study
from harness.engine import run_in_child
from harness.fragments import remove
from harness.machine import provenance
from harness.merge import Listing
from harness.point import Point
from harness.pruning import Curve, Judge, curves
from harness.queue import (
    Grid,
    Row,
    TrialQueue,
    branch_distribution,
    branch_of,
    enumerate_grid,
    finished,
    is_pruned,
    point_rows,
    sampled_rows,
    settled,
    suggest,
    told,
    unfinished_seeds,
)
from harness.run import Outcome, point_facts
from harness.schema import FINISHED
from harness.store import Store
from harness.tasks.base import Context

_POLL_S = 0.1
_COMPACT_FROM = 64  # fragments that a study may keep; more are compacted when it ends


class Watcher(Protocol):
    """Is told what happens; called from worker threads."""

    def started(self, worker: int, point: Point, seed: int) -> None: ...
    def progressed(self, worker: int, table: str, row: Row) -> None: ...
    def finished(self, worker: int, row: Row) -> None: ...
    def spared(self, point: Point, runs: int) -> None: ...


class StudyRun:
    """One execution of a study on this machine.

    `grid`: the enumerated points, None for a sampled search; `rows`: run_id -> row of every run,
    stored or new; `measured`: the new ones; `skipped`: reason -> count of invalid points.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self.store = Store(Path(study.results), study.name)
        self.grid: Grid | None = enumerate_grid(study) if study.search.sampler == "grid" else None
        self.skipped: Counter[str] = Counter(self.grid.skipped if self.grid else {})
        self.rows: dict[str, Row] = self._stored_rows()
        self.measured: list[Row] = []
        self.stop = threading.Event()
        self._queue = TrialQueue(study, self.folder)
        self._curves: dict[str, Curve] = {}
        self._failure: BaseException | None = None

    @property
    def folder(self) -> Path:
        """Where the study's tables and journal are."""
        return Path(self.study.results) / self.study.name

    def missing(self) -> str | None:
        """One line on data that a point needs and does not find, else None."""
        if self.grid is None:
            return self.study.missing()
        lines = (point.task.missing() for point in self.grid.points.values())
        return next((line for line in lines if line is not None), None)

    def pending(self) -> list[tuple[Point, int]]:
        """Runs of the grid that are not finished; empty for a sampled search."""
        points = self.grid.points.values() if self.grid else ()
        return [(p, seed) for p in points for seed in unfinished_seeds(self.study, p, self.rows)]

    def planned(self) -> int:
        """The number of runs to come; of a sampled search at most."""
        if self.study.search.trials is None or self.grid is not None:
            return len(self.pending())
        ended = settled(self.study, self.own_rows())
        return max(0, self.study.search.trials * len(self.study.seeds) - ended)

    def own_rows(self) -> list[Row]:
        """Rows of the runs that belong to the study as it is now, not to earlier settings."""
        if self.grid is None:
            return sampled_rows(self.study, self.rows.values())
        points = self.grid.points.values()
        return [row for point in points for row in point_rows(self.study, point, self.rows)]

    def run(self, watcher: Watcher) -> None:
        """Measure everything that is not finished, then compact; returns early once `stop` is set.

        Raises ValueError when the study is being run by another process, OSError when results
        cannot be written; what was measured before is stored.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with _locked(self.folder):
            self.rows = self._stored_rows()
            self._drop_leftovers()
            self._curves = self._stored_curves()
            self._queue.build(self.grid, self.rows, self._curves)
            self._run_workers(watcher)
            if len(Listing.of(self.folder / "runs").fragments) > _COMPACT_FROM:
                self.store.compact()
        if self._failure is not None:
            raise self._failure

    def _run_workers(self, watcher: Watcher) -> None:
        threads = [
            threading.Thread(target=self._work, args=(worker, watcher), name=f"worker-{worker}")
            for worker in range(self.study.workers)
        ]
        for thread in threads:
            thread.start()
        try:
            # A join that Ctrl-C interrupts takes the thread for ended; a sleep does not.
            while any(thread.is_alive() for thread in threads):
                time.sleep(_POLL_S)
        except KeyboardInterrupt:
            self.stop.set()
        for thread in threads:
            thread.join()

    def _work(self, worker: int, watcher: Watcher) -> None:
        """The worker loop: claim, run, write, tell; until the queue is empty or `stop` is set."""
        sampler = self._queue.sampler(worker, len(self.rows))
        try:
            while not self.stop.is_set():
                trial = self._queue.claim(sampler)
                if trial is None:
                    return
                self._run_trial(trial, worker, watcher)
        except BaseException as failure:
            # A worker that cannot go on (results that cannot be written) stops the study.
            self._failure = failure
            self.stop.set()

    def _run_trial(self, trial: Trial, worker: int, watcher: Watcher) -> None:
        try:
            point = self._point(trial)
        except ValueError as reason:
            self.skipped[str(reason)] += 1
            trial.study.tell(trial, state=TrialState.FAIL)
            return
        seeds, judge = unfinished_seeds(self.study, point, self.rows), self._judge(trial, point)
        for first in range(0, len(seeds), self.study.replicates):
            if self.stop.is_set():
                return
            group = seeds[first : first + self.study.replicates]
            judged = judge if self.study.seeds[0] in group else None
            self._run_seeds(point, group, trial.params, worker, watcher, judged)
            if is_pruned(self.study, point_rows(self.study, point, self.rows)):
                watcher.spared(point, len(seeds) - first - len(group))
                break
        state, values = told(self.study, point_rows(self.study, point, self.rows))
        trial.set_user_attr("point_id", point.point_id)
        trial.study.tell(trial, values, state)

    def _judge(self, trial: Trial, point: Point) -> Judge | None:
        """What judges the run of the first seed; told its curve where that is not run again."""
        monitor = point.task.monitor()
        if self.study.search.pruner == "none" or monitor is None or point.training is None:
            return None
        judge = Judge(trial, monitor, point.training.epochs)
        judge.report(self._curves.get(point.run_id(self.study.seeds[0]), {}))
        return judge

    def _stored_curves(self) -> dict[str, Curve]:
        """The validation curve of every run that is not run again by run_id, for a pruner."""
        monitor = self.study.monitor() if self.study.search.pruner != "none" else None
        if monitor is None:
            return {}
        rows = self.store.read("epochs", ["run_id", "epoch", monitor[0]]).to_pylist()
        return curves((row for row in rows if self._has_ended(row["run_id"])), monitor[0])

    def _has_ended(self, run_id: str) -> bool:
        return self.rows.get(run_id, {}).get("status") in finished(self.study)

    def _run_seeds(
        self,
        point: Point,
        seeds: Sequence[int],
        params: dict[str, Any],
        worker: int,
        watcher: Watcher,
        judge: Judge | None,
    ) -> None:
        """Execute one seed, or several as one program, and write a row for each."""

        def on_row(table: str, row: Row) -> None:
            watcher.progressed(worker, table, row)
            if judge is not None:
                judge.hear(table, row)

        for seed in seeds:
            watcher.started(worker, point, seed)
        place = {**provenance(self.device()), "threads": self.threads()}
        started = datetime.datetime.now(datetime.UTC)
        outcomes = run_in_child(
            point,
            [self._context(point, seed, len(seeds)) for seed in seeds],
            time_limit_s=self.study.time_limit_s,
            stop=self.stop,
            on_row=on_row,
            verdict=lambda: judge.verdict if judge is not None else None,
        )
        duration = (datetime.datetime.now(datetime.UTC) - started).total_seconds()
        for seed, outcome in zip(seeds, outcomes, strict=True):
            row = {
                **place,
                "started_at": started,
                "duration_s": duration / len(seeds),
                "replicates": len(seeds),
                "params": json.dumps(params, sort_keys=True),
                **self._row(point, seed, outcome),
            }
            self._write(row, outcome)
            watcher.finished(worker, row)

    def _context(self, point: Point, seed: int, together: int) -> Context:
        """What a run is given; only one that is a program of its own keeps a checkpoint."""
        kept = together == 1 and self.study.checkpoint_s > 0
        return Context(
            seed=seed,
            device=self.device(),
            threads=self.threads(),
            checkpoint=self._checkpoint(point.run_id(seed)) if kept else None,
        )

    def _checkpoint(self, run_id: str) -> Checkpoint:
        folder = str(self._checkpoints.absolute())
        return Checkpoint(folder=folder, run_id=run_id, every_s=self.study.checkpoint_s)

    def _drop_leftovers(self) -> None:
        """Delete what a crash left: checkpoints of finished runs, files that were being written."""
        remove(self._checkpoints.glob(".tmp*"))
        for path in self._checkpoints.glob("*.json"):
            if self._has_ended(path.stem):
                self._checkpoint(path.stem).drop()

    @property
    def _checkpoints(self) -> Path:
        return self.folder / "checkpoints"

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
        self.store.write_run({**outcome.tables, "runs": [row]})
        self.rows[row["run_id"]] = row
        self.measured.append(row)
        if row["status"] in FINISHED:
            self._checkpoint(row["run_id"]).drop()

    def _point(self, trial: Trial) -> Point:
        space = self.study.space
        if self.grid is not None:
            point_id = trial.user_attrs["point_id"]
            params = self.grid.params[point_id]
            suggest(trial, {name: self.grid.distributions[name] for name in params})
            return self.grid.points[point_id]
        branch = branch_of(self.study, suggest(trial, branch_distribution(self.study)))
        params = suggest(trial, space.narrow(branch))
        return self.study.point(space.settings(branch, params))

    def _stored_rows(self) -> dict[str, Row]:
        return {row["run_id"]: row for row in self.store.read("runs").to_pylist()}

    def device(self) -> str:
        """The torch device of every run of this study."""
        if self.study.device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        return self.study.device

    def threads(self) -> int:
        """Torch threads of one run: those the study sets, or its share of the cores."""
        cores = len(os.sched_getaffinity(0))
        return self.study.threads or max(1, cores // self.study.workers)

    def together(self) -> int:
        """The number of runs of a new point that are one program."""
        return min(self.study.replicates, len(self.study.seeds))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the study for this process; the lock goes with the process, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".run.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise ValueError(
                f"{folder} is being run by process {lock.read().strip()}; "
                "wait for it, or give another results folder"
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield

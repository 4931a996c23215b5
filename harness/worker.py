"""A worker: claims trials, runs their seeds, writes Parquet, then tells Optuna."""

from __future__ import annotations

import datetime
import json
import os
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from optuna.trial import Trial, TrialState

from harness.checkpoint import Checkpoint
from harness.config import Study
from harness.engine import run_in_child
from harness.machine import provenance
from harness.places import study_folder
from harness.point import Point
from harness.pruning import Curve, Judge
from harness.queue import (
    Grid,
    Row,
    TrialQueue,
    branch_distribution,
    branch_of,
    finished,
    is_pruned,
    point_rows,
    suggest,
    told,
    unfinished_seeds,
)
from harness.run import Outcome, point_facts
from harness.schema import FINISHED
from harness.store import Store
from harness.tasks.base import Context


class Watcher(Protocol):
    """Is told what happens; called from worker threads."""

    def started(self, worker: int, point: Point, seed: int) -> None: ...
    def progressed(self, worker: int, table: str, row: Row) -> None: ...
    def finished(self, worker: int, row: Row) -> None: ...
    def spared(self, point: Point, runs: int) -> None: ...


@dataclass(kw_only=True)
class Ledger:
    """What the workers of one process share.

    `rows`: run_id -> row of every run, stored or new; `measured`: the new ones; `skipped`: reason
    -> count of invalid points; `curves`: run_id -> validation curve, where a pruner needs them;
    `stop`: set once nothing more is to be claimed; `failure`: what stopped a worker, if anything.
    """

    study: Study
    store: Store
    queue: TrialQueue
    grid: Grid | None
    rows: dict[str, Row]
    measured: list[Row] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    curves: dict[str, Curve] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)
    failure: BaseException | None = None

    def has_ended(self, run_id: str) -> bool:
        """Whether a run is not to be measured again."""
        return self.rows.get(run_id, {}).get("status") in finished(self.study)

    def checkpoint(self, run_id: str) -> Checkpoint:
        """Where a run keeps what it needs to go on."""
        folder = str(checkpoints(self.study).absolute())
        return Checkpoint(folder=folder, run_id=run_id, every_s=self.study.checkpoint_s)


class Worker:
    """The worker loop: claim, run, write, tell; until the queue is empty or `stop` is set."""

    def __init__(self, number: int, ledger: Ledger, watcher: Watcher) -> None:
        self.number, self.ledger, self.watcher = number, ledger, watcher
        self.study = ledger.study

    def work(self) -> None:
        """Take trials until none waits; a failure stops every worker and is kept in the ledger."""
        queue = self.ledger.queue
        sampler = queue.sampler(self.number, len(self.ledger.rows))
        try:
            while not self.ledger.stop.is_set():
                trial = queue.claim(sampler)
                if trial is None:
                    return
                self._run_trial(trial)
        except BaseException as failure:
            # A worker that cannot go on (results that cannot be written) stops the study.
            self.ledger.failure = failure
            self.ledger.stop.set()

    def _run_trial(self, trial: Trial) -> None:
        try:
            point = self._point(trial)
        except ValueError as reason:
            self.ledger.skipped[str(reason)] += 1
            trial.study.tell(trial, state=TrialState.FAIL)
            return
        seeds = unfinished_seeds(self.study, point, self.ledger.rows)
        judge = self._judge(trial, point)
        for first in range(0, len(seeds), self.study.replicates):
            if self.ledger.stop.is_set():
                return
            group = seeds[first : first + self.study.replicates]
            judged = judge if self.study.seeds[0] in group else None
            self._run_seeds(point, group, trial.params, judged)
            if is_pruned(self.study, point_rows(self.study, point, self.ledger.rows)):
                self.watcher.spared(point, len(seeds) - first - len(group))
                break
        state, values = told(self.study, point_rows(self.study, point, self.ledger.rows))
        trial.set_user_attr("point_id", point.point_id)
        trial.study.tell(trial, values, state)

    def _judge(self, trial: Trial, point: Point) -> Judge | None:
        """What judges the run of the first seed; told its curve where that is not run again."""
        monitor = point.task.monitor()
        if self.study.search.pruner == "none" or monitor is None or point.training is None:
            return None
        judge = Judge(trial, monitor, point.training.epochs)
        judge.report(self.ledger.curves.get(point.run_id(self.study.seeds[0]), {}))
        return judge

    def _run_seeds(
        self, point: Point, seeds: Sequence[int], params: dict[str, Any], judge: Judge | None
    ) -> None:
        """Execute one seed, or several as one program, and write a row for each."""

        def on_row(table: str, row: Row) -> None:
            self.watcher.progressed(self.number, table, row)
            if judge is not None:
                judge.hear(table, row)

        for seed in seeds:
            self.watcher.started(self.number, point, seed)
        place = {**provenance(device(self.study)), "threads": threads(self.study)}
        started = datetime.datetime.now(datetime.UTC)
        outcomes = run_in_child(
            point,
            [self._context(point, seed, len(seeds)) for seed in seeds],
            time_limit_s=self.study.time_limit_s,
            stop=self.ledger.stop,
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
            self.watcher.finished(self.number, row)

    def _context(self, point: Point, seed: int, together: int) -> Context:
        """What a run is given; only one that is a program of its own keeps a checkpoint."""
        kept = together == 1 and self.study.checkpoint_s > 0
        return Context(
            seed=seed,
            device=device(self.study),
            threads=threads(self.study),
            checkpoint=self.ledger.checkpoint(point.run_id(seed)) if kept else None,
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
        self.ledger.store.write_run({**outcome.tables, "runs": [row]})
        self.ledger.rows[row["run_id"]] = row
        self.ledger.measured.append(row)
        if row["status"] in FINISHED:
            self.ledger.checkpoint(row["run_id"]).drop()

    def _point(self, trial: Trial) -> Point:
        space = self.study.space
        if self.ledger.grid is not None:
            point_id = trial.user_attrs["point_id"]
            params = self.ledger.grid.params[point_id]
            suggest(trial, {name: self.ledger.grid.distributions[name] for name in params})
            return self.ledger.grid.points[point_id]
        branch = branch_of(self.study, suggest(trial, branch_distribution(self.study)))
        params = suggest(trial, space.narrow(branch))
        return self.study.point(space.settings(branch, params))


def checkpoints(study: Study) -> Path:
    """The folder of a study's checkpoints."""
    return study_folder(study.results, study.name) / "checkpoints"


def device(study: Study) -> str:
    """The torch device of every run of a study."""
    if study.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return study.device


def threads(study: Study) -> int:
    """Torch threads of one run: those the study sets, or its share of the cores."""
    cores = len(os.sched_getaffinity(0))
    return study.threads or max(1, cores // study.workers)

"""Run a study on this machine: read what is stored, then start workers for what is missing."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import optuna

from rankbench.common.files import remove
from rankbench.engine.placement import threads, worker_count
from rankbench.engine.queue import (
    Grid,
    Row,
    TrialQueue,
    count_settled_runs,
    enumerate_grid,
    point_rows,
    sampled_rows,
    unfinished_seeds,
)
from rankbench.engine.worker import ProgressListener, StudyState, Worker, checkpoints
from rankbench.store.store import Store
from rankbench.study.config import Study
from rankbench.study.pruning import Curve, curves
from rankbench.tasks.base import Point

if TYPE_CHECKING:
    from rankbench.engine.shared_queue import SharedQueue

_POLL_S = 0.1
_COMPACT_FROM = 64  # With more fragments than this, the tables are compacted after a run.


class StudyRun:
    """One execution of a study on this machine.

    `grid` holds the enumerated points (None for a sampled search), `state` what the workers share.

    Args:
        study: The study.
        columns: Columns of `runs` to read; None reads all.
    """

    def __init__(self, study: Study, columns: Sequence[str] | None = None) -> None:
        self.study, self.columns = study, columns
        self.store = Store(study.results, study.name)
        self.grid: Grid | None = enumerate_grid(study) if study.search.sampler == "grid" else None
        self.state = StudyState(
            study=study,
            store=self.store,
            queue=self._queue(),
            grid=self.grid,
            rows=self._stored_rows(),
            skipped=Counter(self.grid.skipped if self.grid else {}),
        )

    def _queue(self) -> TrialQueue:
        if not self.study.storage:
            return TrialQueue(self.study, self.folder)
        from rankbench.engine.shared_queue import SharedQueue  # Imports SQLAlchemy, which is slow.

        return SharedQueue(self.study, self.folder)

    @property
    def rows(self) -> dict[str, Row]:
        """Row of every run, stored or new, by run_id."""
        return self.state.rows

    @property
    def measured(self) -> list[Row]:
        """Rows of the runs that this execution has measured."""
        return self.state.measured

    @property
    def skipped(self) -> Counter[str]:
        """Number of points that are invalid or exceed a limit, by reason."""
        return self.state.skipped

    @property
    def stop(self) -> threading.Event:
        """Event that stops the workers when set."""
        return self.state.stop

    @property
    def folder(self) -> Path:
        """Local folder of the study, with its journal and, unless they are remote, its tables."""
        return self.store.folder

    def missing(self) -> str | None:
        """Return one line about data that a point needs and that is not stored, or None."""
        if self.grid is None:
            return self.study.missing()
        lines = (point.task.missing() for point in self.grid.points.values())
        return next((line for line in lines if line is not None), None)

    def pending(self) -> list[tuple[Point, int]]:
        """Return the unfinished runs of the grid; empty for a sampled search."""
        points = self.grid.points.values() if self.grid else ()
        return [(p, seed) for p in points for seed in unfinished_seeds(self.study, p, self.rows)]

    def planned(self) -> int:
        """Return the number of runs to come; an upper bound for a sampled search."""
        if self.study.search.trials is None or self.grid is not None:
            return len(self.pending())
        ended = count_settled_runs(self.study, self.own_rows())
        return max(0, self.study.search.trials * len(self.study.seeds) - ended)

    def own_rows(self) -> list[Row]:
        """Return the rows of runs that belong to the study with its current settings."""
        if self.grid is None:
            return sampled_rows(self.study, self.rows.values())
        points = self.grid.points.values()
        return [row for point in points for row in point_rows(self.study, point, self.rows)]

    def run(self, listener: ProgressListener) -> None:
        """Measure all unfinished runs, then compact the tables; return early once `stop` is set.

        If an exception is raised, the runs measured before it are stored.

        Args:
            listener: Receives progress events.

        Raises:
            ValueError: Another process is running the study.
            OSError: Results cannot be written.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        if self.study.storage:
            self.join(listener, again=True)
            return
        with locked(self.folder):
            self.state.rows = self._stored_rows()
            remove(checkpoints(self.study).glob(".tmp*"))  # Files left half-written by a crash.
            self._drop_leftovers()
            self.state.curves = self._stored_curves()
            self.state.queue.build(self.grid, self.rows, self.state.curves)
            self._run_workers(listener)
            self._compact()
        if self.state.failure is not None:
            raise self.state.failure

    def join(self, listener: ProgressListener | None, *, again: bool) -> None:
        """Add missing trials to the shared storage, then measure until no trial is left.

        If an exception is raised, the runs measured before it are stored.

        Args:
            listener: Receives progress events; None measures nothing.
            again: Whether to measure failed points again.

        Raises:
            ValueError: The storage is not shared, or other workers use another results folder.
            OSError: The server is unreachable, or results cannot be written.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        queue = self.check_shared()
        queue.stop = self.stop
        with locked(self.folder, shared=True), queue.joined(self.grid):
            queue.with_retry(lambda: queue.sync(self.grid, self._read_known, again=again))
            if listener is not None:
                self._run_workers(listener)
        self.state.reload()
        self._drop_leftovers()
        # A stopped worker may have no time left, for example because its cluster job ends.
        if listener is not None and not self.stop.is_set():
            self._compact()
        if self.state.failure is not None:
            raise self.state.failure

    def catch_up(self) -> None:
        """Read the runs that other workers have measured since the rows were last read."""
        before = {run_id: row["started_at"] for run_id, row in self.rows.items()}
        self.state.reload()
        self.measured.extend(
            row
            for run_id, row in self.rows.items()
            if run_id not in before or row["started_at"] != before[run_id]
        )

    def check_shared(self) -> SharedQueue:
        """Return the queue if other machines can join it.

        Raises:
            ValueError: The study uses a local journal.
        """
        if self.study.storage:
            return cast("SharedQueue", self.state.queue)
        raise ValueError(
            "work needs storage=postgresql://USER@HOST/DATABASE, which machines share; study"
            f" {self.study.name} has a journal, which `rankbench run` alone may use"
        )

    def _read_known(self) -> tuple[dict[str, Row], dict[str, Curve]]:
        """Read the stored rows and curves."""
        self.state.rows = self._stored_rows()
        self.state.curves = self._stored_curves()
        return self.rows, self.state.curves

    def _compact(self) -> None:
        if self.store.tables.fragments() > _COMPACT_FROM:
            self.store.compact()

    def _run_workers(self, listener: ProgressListener) -> None:
        workers = [
            threading.Thread(
                target=Worker(number, self.state, listener).work, name=f"worker-{number}"
            )
            for number in range(worker_count(self.study))
        ]
        for thread in workers:
            thread.start()
        try:
            # Poll, because a join that Ctrl-C interrupts would count the thread as ended.
            while any(thread.is_alive() for thread in workers):
                time.sleep(_POLL_S)
        except KeyboardInterrupt:
            self.stop.set()
        for thread in workers:
            thread.join()

    def _stored_curves(self) -> dict[str, Curve]:
        """Read the validation curves of finished runs, by run_id; empty without a pruner."""
        monitor = self.study.monitor() if self.study.search.pruner != "none" else None
        if monitor is None:
            return {}
        rows = self.store.read("epochs", ["run_id", "epoch", monitor[0]]).to_pylist()
        return curves((row for row in rows if self.state.has_ended(row["run_id"])), monitor[0])

    def _drop_leftovers(self) -> None:
        """Delete checkpoints of finished runs, which a crash may leave."""
        for path in checkpoints(self.study).glob("*.json"):
            if self.state.has_ended(path.stem):
                self.state.checkpoint(path.stem).drop()

    def _stored_rows(self) -> dict[str, Row]:
        rows = self.store.read("runs", self.columns).to_pylist()
        return {row["run_id"]: row for row in rows}

    def threads(self) -> int:
        """Return the number of torch threads of one run."""
        return threads(self.study)

    def workers(self) -> int:
        """Return the number of runs at a time."""
        return worker_count(self.study)

    def together(self) -> int:
        """Return how many seeds of a new point run as one program."""
        return min(self.study.replicates, len(self.study.seeds))


@contextmanager
def locked(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """Lock the study's folder while the context is active.

    The kernel releases the lock when the process ends.

    Args:
        folder: Local folder of the study.
        shared: Whether other processes may hold a shared lock at the same time.

    Raises:
        ValueError: Another process holds a conflicting lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".run.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
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

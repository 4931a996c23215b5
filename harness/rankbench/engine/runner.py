"""Run a study: what is stored and what is missing, and the workers of this machine."""

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
_COMPACT_FROM = 64  # fragments that a study may keep; more are compacted when it ends


class StudyRun:
    """One execution of a study on this machine.

    `grid`: the enumerated points, None for a sampled search; `ledger`: what its workers share.
    `columns`: those of `runs` that its rows have, all where None.
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
        from rankbench.engine.shared_queue import SharedQueue  # Imports SQLAlchemy.

        return SharedQueue(self.study, self.folder)

    @property
    def rows(self) -> dict[str, Row]:
        """The row of every run, stored or new, by run_id."""
        return self.state.rows

    @property
    def measured(self) -> list[Row]:
        """The rows of the runs this execution measured."""
        return self.state.measured

    @property
    def skipped(self) -> Counter[str]:
        """How many points were invalid, by reason."""
        return self.state.skipped

    @property
    def stop(self) -> threading.Event:
        """Set it, and nothing more is measured."""
        return self.state.stop

    @property
    def folder(self) -> Path:
        """Where the study's journal is, and its tables unless they are on an object store."""
        return self.store.folder

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
        ended = count_settled_runs(self.study, self.own_rows())
        return max(0, self.study.search.trials * len(self.study.seeds) - ended)

    def own_rows(self) -> list[Row]:
        """Rows of the runs that belong to the study as it is now, not to earlier settings."""
        if self.grid is None:
            return sampled_rows(self.study, self.rows.values())
        points = self.grid.points.values()
        return [row for point in points for row in point_rows(self.study, point, self.rows)]

    def run(self, listener: ProgressListener) -> None:
        """Measure everything that is not finished, then compact; returns early once `stop` is set.

        Raises ValueError when the study is being run by another process, OSError when results
        cannot be written; what was measured before is stored.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        if self.study.storage:
            self.join(listener, again=True)
            return
        with locked(self.folder):
            self.state.rows = self._stored_rows()
            remove(checkpoints(self.study).glob(".tmp*"))  # files that a crash left half written
            self._drop_leftovers()
            self.state.curves = self._stored_curves()
            self.state.queue.build(self.grid, self.rows, self.state.curves)
            self._run_workers(listener)
            self._compact()
        if self.state.failure is not None:
            raise self.state.failure

    def join(self, listener: ProgressListener | None, *, again: bool) -> None:
        """Add what the shared storage misses, then measure with others until nothing is left.

        `listener`: None to measure nothing; `again`: failed points are measured again, too.

        Raises ValueError for a storage or results that others do not share, OSError where the
        server is gone or results cannot be written; what was measured before is stored.
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
        # One that is stopped may have no time to: its job ends, its machine is taken away.
        if listener is not None and not self.stop.is_set():
            self._compact()
        if self.state.failure is not None:
            raise self.state.failure

    def catch_up(self) -> None:
        """Read what workers elsewhere have measured since the rows were last read."""
        before = {run_id: row["started_at"] for run_id, row in self.rows.items()}
        self.state.reload()
        self.measured.extend(
            row
            for run_id, row in self.rows.items()
            if run_id not in before or row["started_at"] != before[run_id]
        )

    def check_shared(self) -> SharedQueue:
        """The queue that others may join; raises ValueError for a journal."""
        if self.study.storage:
            return cast("SharedQueue", self.state.queue)
        raise ValueError(
            "work needs storage=postgresql://USER@HOST/DATABASE, which machines share; study"
            f" {self.study.name} has a journal, which `rankbench run` alone may use"
        )

    def _read_known(self) -> tuple[dict[str, Row], dict[str, Curve]]:
        """The rows and curves there are now."""
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
            # A join that Ctrl-C interrupts takes the thread for ended; a sleep does not.
            while any(thread.is_alive() for thread in workers):
                time.sleep(_POLL_S)
        except KeyboardInterrupt:
            self.stop.set()
        for thread in workers:
            thread.join()

    def _stored_curves(self) -> dict[str, Curve]:
        """The validation curve of every run that is not run again by run_id, for a pruner."""
        monitor = self.study.monitor() if self.study.search.pruner != "none" else None
        if monitor is None:
            return {}
        rows = self.store.read("epochs", ["run_id", "epoch", monitor[0]]).to_pylist()
        return curves((row for row in rows if self.state.has_ended(row["run_id"])), monitor[0])

    def _drop_leftovers(self) -> None:
        """Delete the checkpoints of finished runs, which a crash left."""
        for path in checkpoints(self.study).glob("*.json"):
            if self.state.has_ended(path.stem):
                self.state.checkpoint(path.stem).drop()

    def _stored_rows(self) -> dict[str, Row]:
        rows = self.store.read("runs", self.columns).to_pylist()
        return {row["run_id"]: row for row in rows}

    def threads(self) -> int:
        """Torch threads of one run."""
        return threads(self.study)

    def workers(self) -> int:
        """Runs at a time."""
        return worker_count(self.study)

    def together(self) -> int:
        """The number of runs of a new point that are one program."""
        return min(self.study.replicates, len(self.study.seeds))


@contextmanager
def locked(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the study for this process; the lock goes with the process, however it ends.

    `shared`: others may hold it so, too; nobody alone.

    Raises ValueError while another process holds it.
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

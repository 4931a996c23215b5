"""Progress of a study: a bar with the time left, or lines without a terminal."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import TaskID

from rankbench.cli.show.bar import ProgressBars
from rankbench.cli.show.running import run_name, run_note
from rankbench.common.text import duration, label, metric
from rankbench.engine.queue import Row
from rankbench.study.in_progress import Recorder, RunInProgress
from rankbench.tasks.base import Point

_SHOWN = ("top_accuracy", "rmse", "nelbo_nats", "cider", "step_ms", "num_params")
_LINE_EVERY_S = 5.0  # Seconds between lines about finished runs.
_RUN_LINE_EVERY_S = 60.0  # Seconds between lines about a run in progress.


class StudyProgress(ProgressBars):
    """A progress listener that shows how much of a study is done and how long the rest takes.

    A `Recorder` also writes the runs to the study's folder for other processes. Without a terminal,
    a line per minute shows the progress of each run.

    Args:
        console: Where to print.
        name: Name of the study.
        folder: Local folder of the study.
        total: Number of runs to measure.
        weights: Estimated seconds of one run of each point, by point id; 1 for other points.
        work: Sum of the weights of all runs to measure.
    """

    def __init__(
        self,
        console: Console,
        name: str,
        folder: Path,
        total: int,
        weights: Mapping[str, float],
        work: float,
    ) -> None:
        super().__init__(console)
        self._total, self._weights, self._work = total, weights, work
        self._done, self._done_weight = 0, 0.0
        self._start = self._minute = time.monotonic()
        self._last_line = 0.0
        self._recorder = Recorder(folder, self.tick)
        self._lock = threading.Lock()
        self._overall = self.add_bar(name, 1.0, f"0/{total} runs")
        self._worker_bars: dict[int, TaskID] = {}

    def __enter__(self) -> Self:
        self._recorder.__enter__()
        return super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        self._recorder.__exit__(kind, error, trace)

    def on_run_started(self, worker: int, point: Point, seed: int) -> None:
        """Show a run that a worker begins, or add a seed that it trains together with others."""
        with self._lock:
            self._recorder.on_run_started(worker, point, seed)
            if worker not in self._worker_bars:
                self._worker_bars[worker] = self.add_bar("", 1.0)
            name = run_name(self._recorder.run_of(worker))
            self._bars.reset(self._worker_bars[worker], description=f"  {name}", note="")

    def on_row(self, worker: int, table: str, row: Row) -> None:
        """Update the progress of a run; only rows of `epochs` are used."""
        if table != "epochs":
            return
        with self._lock:
            before = self._recorder.run_of(worker).epoch
            self._recorder.on_row(worker, table, row)
            run = self._recorder.run_of(worker)
            if run.epochs is None or run.epoch == before:  # Replicates repeat the epoch.
                return
            note = f"epoch {run.epoch}/{run.epochs} loss {metric(run.loss)}"
            self._bars.update(self._worker_bars[worker], completed=_share(run), note=note)
            self._update()

    def on_run_finished(self, worker: int, row: Row) -> None:
        """Count a finished run."""
        with self._lock:
            self._done += 1
            self._done_weight += self._weight(self._recorder.run_of(worker))
            self._recorder.on_run_finished(worker, row)
            self._update()
            self._report(row)

    def on_runs_skipped(self, point: Point, runs: int) -> None:
        """Subtract the skipped runs of a pruned point from the work."""
        with self._lock:
            self._total -= runs
            self._work -= runs * self._weights.get(point.point_id, 1.0)
            self._update()

    def tick(self) -> None:
        """Without a terminal, print a line for each run in progress once a minute."""
        now = time.monotonic()
        if self.console.is_terminal or now - self._minute < _RUN_LINE_EVERY_S:
            return
        self._minute = now
        with self._lock:
            for run in self._recorder.runs():
                self._print(run_note(run))

    def left(self) -> str:
        """Return the estimated time for the rest at the pace so far, as text."""
        share = self._share()
        elapsed = time.monotonic() - self._start
        return duration(elapsed * (1 - share) / share) + " left" if share > 0 else "estimating"

    def _share(self) -> float:
        running = self._recorder.runs()
        done = sum(self._weight(run) * len(run.seeds) * _share(run) for run in running)
        return min(1.0, (self._done_weight + done) / self._work) if self._work else 1.0

    def _weight(self, run: RunInProgress) -> float:
        return self._weights.get(run.point_id, 1.0)

    def _update(self) -> None:
        note = f"{self._done}/{self._total} runs, {self.left()}"
        self._bars.update(self._overall, completed=self._share(), note=note)

    def _report(self, row: Mapping[str, Any]) -> None:
        """Print a line if a run has failed; without a terminal also every few seconds."""
        failed = row["status"] != "done"
        now = time.monotonic()
        last = self._done == self._total
        due = not self.console.is_terminal and (last or now - self._last_line >= _LINE_EVERY_S)
        if not failed and not due:
            return
        self._last_line = now
        values = [f"{name} {metric(row.get(name))}" for name in _SHOWN if row.get(name) is not None]
        outcome = f"{row['status']}: {row['error']}" if failed else values[0]
        self._print(f"{label(row)} seed {row['seed']}: {outcome} ({self.left()})")

    def _print(self, text: str) -> None:
        line = f"[{self._done}/{self._total}] {text}"
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


def _share(run: RunInProgress) -> float:
    return run.epoch / run.epochs if run.epochs else 0.0

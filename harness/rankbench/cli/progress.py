"""Progress of a study on a screen: a bar with time left, or lines where there is no terminal."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import TaskID

from rankbench.cli.progress_bar import bars
from rankbench.common.text import duration, label, metric
from rankbench.engine.queue import Row
from rankbench.tasks.base import Point
from rankbench.tasks.facts import layer_facts

_SHOWN = ("top_accuracy", "rmse", "nelbo_nats", "cider", "step_ms", "num_params")
_LINE_EVERY_S = 5.0


class StudyProgress:
    """Watches a study: how much of its estimated work is done, and how long the rest takes.

    `total`: number of runs to come; `weights`: point id -> estimated seconds of one of its runs,
    1 for a point that is not there; `work`: the sum of the weights of all runs to come.
    """

    def __init__(
        self,
        console: Console,
        name: str,
        total: int,
        weights: Mapping[str, float],
        work: float,
    ) -> None:
        self._console = console
        self._total = total
        self._weights = weights
        self._work = work
        self._done, self._done_weight = 0, 0.0
        # worker -> weight of each run it trains together, their number, share done
        self._running: dict[int, tuple[float, int, float]] = {}
        self._epochs: dict[int, int | None] = {}
        self._start = time.monotonic()
        self._said = 0.0
        self._lock = threading.Lock()
        self._bars = bars(console)
        self._overall = self._bars.add_task(name, total=1.0, note=f"0/{total} runs")
        self._worker_bars: dict[int, TaskID] = {}

    def __enter__(self) -> StudyProgress:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def on_run_started(self, worker: int, point: Point, seed: int) -> None:
        """A worker begins a run; until one has finished, another that it trains together."""
        with self._lock:
            weight = self._weights.get(point.point_id, 1.0)
            number = self._running.get(worker, (weight, 0, 0.0))[1] + 1
            self._running[worker] = (weight, number, 0.0)
            self._epochs[worker] = point.training.epochs if point.training else None
            if worker not in self._worker_bars:
                self._worker_bars[worker] = self._bars.add_task("", total=1.0, note="")
            name = label({**layer_facts(point.layer), **point.task.describe()})
            bar = self._worker_bars[worker]
            seeds = f"seed {seed}" if number == 1 else f"{number} seeds"
            self._bars.reset(bar, description=f"  {name} {seeds}", note="")

    def on_row(self, worker: int, table: str, row: Row) -> None:
        """A run yields a row; those of epochs say how far it is."""
        epochs = self._epochs.get(worker)
        if table != "epochs" or not epochs:
            return
        with self._lock:
            weight, number, before = self._running[worker]
            share = row["epoch"] / epochs
            if share == before:  # another replicate's row of the same epoch
                return
            self._running[worker] = (weight, number, share)
            note = f"epoch {row['epoch']}/{epochs} loss {metric(row['train_loss'])}"
            self._bars.update(self._worker_bars[worker], completed=share, note=note)
            self._update()

    def on_run_finished(self, worker: int, row: Row) -> None:
        """A run has ended and its row is stored."""
        with self._lock:
            self._done += 1
            weight, number, share = self._running.pop(worker)
            self._done_weight += weight
            if number > 1:
                self._running[worker] = (weight, number - 1, share)
            self._update()
            self._say(row)

    def on_runs_skipped(self, point: Point, runs: int) -> None:
        """So many runs of a pruned point will not be."""
        with self._lock:
            self._total -= runs
            self._work -= runs * self._weights.get(point.point_id, 1.0)
            self._update()

    def left(self) -> str:
        """The time the rest should take at the pace so far."""
        share = self._share()
        elapsed = time.monotonic() - self._start
        return duration(elapsed * (1 - share) / share) + " left" if share > 0 else "estimating"

    def _share(self) -> float:
        running = self._running.values()
        done = self._done_weight + sum(weight * number * share for weight, number, share in running)
        return min(1.0, done / self._work) if self._work else 1.0

    def _update(self) -> None:
        note = f"{self._done}/{self._total} runs, {self.left()}"
        self._bars.update(self._overall, completed=self._share(), note=note)

    def _say(self, row: Mapping[str, Any]) -> None:
        """One line a run that failed; without a terminal also one every few seconds."""
        failed = row["status"] != "done"
        now = time.monotonic()
        due = not self._console.is_terminal and now - self._said >= _LINE_EVERY_S
        if not (failed or due or (self._done == self._total and not self._console.is_terminal)):
            return
        self._said = now
        values = [f"{name} {metric(row.get(name))}" for name in _SHOWN if row.get(name) is not None]
        told = f"{row['status']}: {row['error']}" if failed else values[0]
        name = f"{label(row)} seed {row['seed']}"
        self._console.print(
            f"[{self._done}/{self._total}] {name}: {told} ({self.left()})", markup=False
        )

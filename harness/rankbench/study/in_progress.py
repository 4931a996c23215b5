"""Record which runs are in progress, so that other processes can show them.

Each process that measures a study writes its runs to one small JSON file in the study's local
folder. The file is replaced atomically every few seconds and deleted at the end. A file left by a
crash is recognised: on the same machine, because its process no longer exists; from another
machine, because it has not been written for a minute.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from rankbench.common.text import label
from rankbench.tasks.base import Point
from rankbench.tasks.facts import layer_facts

Row = dict[str, Any]
HEARTBEAT_S = 5.0
STALE_S = 60.0  # Seconds without an update after which a process elsewhere counts as dead.
_CLOCK_S = 5.0  # Tolerance in seconds when comparing start times of a process.
_METRICS = ("accuracy", "rmse", "nelbo_nats", "perplexity", "validation_accuracy")


@dataclass(kw_only=True)
class RunInProgress:
    """A run, or several seeds trained as one program, that a worker is measuring."""

    host: str
    """Name of the machine."""
    pid: int
    """Process id of the worker."""
    worker: int
    """Index of the worker in its process."""
    point_id: str
    """Id of the point that is measured."""
    label: str
    """Short description of its layer."""
    seeds: list[int]
    """Seeds that have not ended."""
    started_at: float
    """Start time, in seconds since the epoch."""
    epochs: int | None = None
    """Number of epochs to train; None for a task without training."""
    epoch: int = 0
    """Number of epochs trained so far."""
    loss: float | None = None
    """Training loss of the last epoch."""
    metric: str | None = None
    """Name of the last reported metric."""
    value: float | None = None
    """Value of that metric."""
    first: tuple[int, float] | None = None
    """First reported epoch and its time, from which the pace is computed."""
    reported_at: float | None = None
    """Time at which the last epoch was reported, in seconds since the epoch."""

    def add(self, row: Row) -> None:
        """Update the run with a row of `epochs`."""
        now = time.time()
        self.epoch, self.loss, self.reported_at = row["epoch"], row.get("train_loss"), now
        self.first = self.first or (self.epoch, now)
        for name in _METRICS:
            if row.get(name) is not None:
                self.metric, self.value = name, row[name]
                break

    @property
    def left_s(self) -> float | None:
        """Estimated seconds until the end, from the pace of the epochs; None while unknown."""
        if self.epochs is None or self.first is None or self.reported_at is None:
            return None
        epoch, since = self.first
        done, elapsed = self.epoch - epoch, self.reported_at - since
        if done == 0:
            done, elapsed = self.epoch, self.reported_at - self.started_at
        left = (self.epochs - self.epoch) * elapsed / done
        return max(0.0, left - (time.time() - self.reported_at))


class Recorder:
    """A progress listener that keeps the file of this process up to date.

    It is a context manager: the file exists while the context is active.

    Args:
        folder: Local folder of the study.
        on_tick: Called every few seconds from a separate thread.
    """

    def __init__(self, folder: Path, on_tick: Callable[[], None] | None = None) -> None:
        self.folder, self.on_tick = folder, on_tick
        self._host, self._pid = socket.gethostname(), os.getpid()
        self._path = (
            folder / f".running-{re.sub(r'[^A-Za-z0-9-]', '-', self._host)}-{self._pid}.json"
        )
        self._runs: dict[int, RunInProgress] = {}
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._tick, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        remove_stale(self.folder)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._path.unlink(missing_ok=True)

    def on_run_started(self, worker: int, point: Point, seed: int) -> None:
        """Add a run. Seeds that form one program start one after the other."""
        with self._lock:
            known = self._runs.get(worker)
            if known is not None and known.point_id == point.point_id and known.epoch == 0:
                known.seeds.append(seed)
                return
            self._runs[worker] = RunInProgress(
                host=self._host,
                pid=self._pid,
                worker=worker,
                point_id=point.point_id,
                label=label({**layer_facts(point.layer), **point.task.describe()}),
                seeds=[seed],
                started_at=time.time(),
                epochs=point.training.epochs if point.training else None,
            )

    def on_row(self, worker: int, table: str, row: Row) -> None:
        """Update the progress of a run; only rows of `epochs` are used."""
        with self._lock:
            if table == "epochs" and worker in self._runs:
                self._runs[worker].add(row)

    def on_run_finished(self, worker: int, row: Row) -> None:
        """Remove a finished run."""
        with self._lock:
            run = self._runs.get(worker)
            if run is None:
                return
            run.seeds = [seed for seed in run.seeds if seed != row["seed"]]
            if not run.seeds:
                del self._runs[worker]

    def on_runs_skipped(self, point: Point, runs: int) -> None:
        """Do nothing: skipped runs are not in progress."""

    def run_of(self, worker: int) -> RunInProgress:
        """Return a copy of the run that a worker is measuring."""
        with self._lock:
            return dataclasses.replace(self._runs[worker])

    def runs(self) -> list[RunInProgress]:
        """Return copies of the runs in progress, sorted by worker."""
        with self._lock:
            return [dataclasses.replace(run) for _, run in sorted(self._runs.items())]

    def write(self) -> None:
        """Write the file. Errors are ignored, because a full disk must not stop the runs."""
        content = {
            "host": self._host,
            "pid": self._pid,
            "process_started_at": psutil.Process(self._pid).create_time(),
            "written_at": time.time(),
            "runs": [dataclasses.asdict(run) for run in self.runs()],
        }
        with contextlib.suppress(OSError):
            part = self._path.with_suffix(".tmp")
            part.write_text(json.dumps(content))
            part.replace(self._path)

    def _tick(self) -> None:
        while True:
            self.write()
            if self._ended.wait(HEARTBEAT_S):
                return
            if self.on_tick is not None:
                self.on_tick()


def runs_in_progress(folder: Path) -> list[RunInProgress]:
    """Return the runs that live processes are measuring, sorted by machine, process and worker.

    Args:
        folder: Local folder of the study.
    """
    found = [
        RunInProgress(**{**run, "first": run["first"] and tuple(run["first"])})
        for _, content in _files(folder)
        if _is_alive(content)
        for run in content["runs"]
    ]
    return sorted(found, key=lambda run: (run.host, run.pid, run.worker))


def remove_stale(folder: Path) -> None:
    """Delete the files of processes that have ended."""
    for path, content in _files(folder):
        if not _is_alive(content):
            path.unlink(missing_ok=True)


def _files(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted(folder.glob(".running-*.json")):
        try:
            content = json.loads(path.read_text())
        except (OSError, ValueError):  # The file was just deleted, or is not a record.
            continue
        if isinstance(content, dict) and "runs" in content:
            yield path, content


def _is_alive(content: dict[str, Any]) -> bool:
    if content["host"] != socket.gethostname():
        return bool(time.time() - content["written_at"] < STALE_S)
    try:
        started = psutil.Process(content["pid"]).create_time()
    except psutil.Error:
        return False
    return bool(abs(started - content["process_started_at"]) < _CLOCK_S)

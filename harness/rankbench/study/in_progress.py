"""Runs in progress: what each process that measures a study is doing at the moment.

A process writes its runs into one small JSON file in the study's local folder, replaced as a whole
every few seconds and deleted at the end. A file that a crash left behind is recognised: on this
machine its process is gone, from another it has not been written for a minute.
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
STALE_S = 60.0  # of silence, after which a process on another machine counts as gone
_CLOCK_S = 5.0  # by which two readings of a process's start may differ
_METRICS = ("accuracy", "rmse", "nelbo_nats", "perplexity", "validation_accuracy")


@dataclass(kw_only=True)
class RunInProgress:
    """A run, or several seeds trained as one program, that a worker is measuring."""

    host: str
    """Name of the machine."""
    pid: int
    """Process of the worker."""
    worker: int
    """Number of the worker in its process."""
    point_id: str
    """Point that is measured."""
    label: str
    """Its layer in one phrase."""
    seeds: list[int]
    """Seeds that have not ended."""
    started_at: float
    """When it began, in seconds since the epoch."""
    epochs: int | None = None
    """Epochs that it is to train, None for a task without training."""
    epoch: int = 0
    """Epochs that it has trained."""
    loss: float | None = None
    """Training loss of the last epoch."""
    metric: str | None = None
    """Name of the last metric known."""
    value: float | None = None
    """Value of that metric."""
    first: tuple[int, float] | None = None
    """The first epoch that was reported, and when: from there the pace is measured."""
    reported_at: float | None = None
    """When the last epoch was reported."""

    def add(self, row: Row) -> None:
        """Take a row of `epochs`."""
        now = time.time()
        self.epoch, self.loss, self.reported_at = row["epoch"], row.get("train_loss"), now
        self.first = self.first or (self.epoch, now)
        for name in _METRICS:
            if row.get(name) is not None:
                self.metric, self.value = name, row[name]
                break

    @property
    def left_s(self) -> float | None:
        """Seconds until the end at the pace of the epochs so far, None while that is unknown."""
        if self.epochs is None or self.first is None or self.reported_at is None:
            return None
        epoch, since = self.first
        done, elapsed = self.epoch - epoch, self.reported_at - since
        if done == 0:
            done, elapsed = self.epoch, self.reported_at - self.started_at
        left = (self.epochs - self.epoch) * elapsed / done
        return max(0.0, left - (time.time() - self.reported_at))


class Recorder:
    """Watches the runs of this process, and keeps their file up to date while it is entered.

    Args:
        folder: Local folder of the study.
        on_tick: Called every few seconds, by a thread of its own.
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
        """A worker begins a run; seeds of one program begin one after the other."""
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
        """A run yields a row; those of `epochs` say how far it is."""
        with self._lock:
            if table == "epochs" and worker in self._runs:
                self._runs[worker].add(row)

    def on_run_finished(self, worker: int, row: Row) -> None:
        """A run has ended."""
        with self._lock:
            run = self._runs.get(worker)
            if run is None:
                return
            run.seeds = [seed for seed in run.seeds if seed != row["seed"]]
            if not run.seeds:
                del self._runs[worker]

    def on_runs_skipped(self, point: Point, runs: int) -> None:
        """So many runs of a pruned point will not be."""

    def run_of(self, worker: int) -> RunInProgress:
        """A copy of the run that a worker measures."""
        with self._lock:
            return dataclasses.replace(self._runs[worker])

    def runs(self) -> list[RunInProgress]:
        """Copies of the runs in progress, by worker."""
        with self._lock:
            return [dataclasses.replace(run) for _, run in sorted(self._runs.items())]

    def write(self) -> None:
        """Replace the file; a disk that is full must not stop the runs."""
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
    """The runs that living processes measure in the study's local folder, by machine and worker."""
    found = [
        RunInProgress(**{**run, "first": run["first"] and tuple(run["first"])})
        for _, content in _files(folder)
        if _is_alive(content)
        for run in content["runs"]
    ]
    return sorted(found, key=lambda run: (run.host, run.pid, run.worker))


def remove_stale(folder: Path) -> None:
    """Delete the files of processes that are gone."""
    for path, content in _files(folder):
        if not _is_alive(content):
            path.unlink(missing_ok=True)


def _files(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted(folder.glob(".running-*.json")):
        try:
            content = json.loads(path.read_text())
        except (OSError, ValueError):  # deleted this moment, or no record
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

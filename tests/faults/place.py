"""The study that faults happen to: started in a process of its own, as often as it takes."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from rankbench.study.config import Study
from rankbench.study.search import Search
from rankbench.study.space import Space
from rankbench.tasks import TASKS
from tests.faults.task import Known
from tests.helpers import processes
from tests.helpers.paths import ROOT
from tests.helpers.postgres import Server

MARK = "RANKBENCH_FAULTS"  # in the environment of every process of a place
NAME = "faulty"


@dataclass(kw_only=True)
class Place:
    """A folder with one study of `points` trivial runs; `settings` are of the study."""

    folder: Path
    points: int
    rng: random.Random
    workers: int = 2
    sleep_s: float = 0.02
    hopeless: int = 0  # runs that fail whenever they are tried
    settings: dict[str, Any] = field(default_factory=dict)
    server: Server | None = None  # of a study that machines share
    grace_s: float = 60.0  # for processes that are just ending
    told: list[str] = field(default_factory=list)

    def study(self) -> Study:
        """The study as its processes see it."""
        return make_study(self.options())

    def options(self) -> dict[str, Any]:
        """What a process needs to make the study."""
        task = {"sleep_s": self.sleep_s, **self.settings.get("task", {})}
        rest = {key: value for key, value in self.settings.items() if key != "task"}
        return {
            "results": str(self.folder / "results"),
            "points": self.points,
            "workers": self.workers,
            "hopeless": self.hopeless,
            "task": task,
            **rest,
        }

    def share(self, server: Server) -> None:
        """Keep the trials in a new database of a server, so that any process may join."""
        self.server = server
        self.settings |= {"storage": server.database(), "heartbeat_s": 1}

    @property
    def runs(self) -> Path:
        """The folder of the fragments of runs."""
        return self.folder / "results" / NAME / "runs"

    def start(self, **more: Any) -> subprocess.Popen[str]:
        """Run the study in a process of its own."""
        return processes.start(
            [sys.executable, "-m", "tests.faults.supervisor", json.dumps(self.options() | more)],
            limit_s=6 * processes.HANG_S,
            cwd=ROOT,
            env={**os.environ, MARK: str(self.folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self, **more: Any) -> int:
        """Run the study until nothing is left to measure; returns how often it took."""
        for attempt in range(1, 6):
            process = self.start(**more)
            told, _ = process.communicate()
            self.told.append(told)
            if process.returncode == 0:
                return attempt
        raise AssertionError(f"{NAME} does not end: {self.told[-1][-2000:]}")

    def wait_for_more(self, process: subprocess.Popen[str]) -> bool:
        """Until another run is written; false when the process ends before."""
        before = self.newest()
        while process.poll() is None:
            if self.newest() != before:
                return True
            time.sleep(0.002)
        return False

    def newest(self) -> tuple[int, int]:
        """What changes whenever a run is written."""
        try:
            return self.runs.stat().st_mtime_ns, len(list(self.runs.iterdir()))
        except FileNotFoundError:
            return 0, 0

    def left(self) -> list[psutil.Process]:
        """Processes of this place that are alive, however they were started."""
        return processes.living(lambda mark: mark == str(self.folder), MARK)

    def clear(self) -> int:
        """Kill what is left once everything had time to end; returns how many processes it was."""
        deadline = time.monotonic() + self.grace_s
        while (left := self.left()) and time.monotonic() < deadline:
            time.sleep(0.05)
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        return len(left)


def make_study(options: dict[str, Any]) -> Study:
    """The study of a place's options."""
    TASKS["known"] = Known
    options = dict(options)
    points, task = options.pop("points"), options.pop("task")
    options.pop("hopeless")
    return Study(
        name=NAME,
        task={"name": "known", **task},
        layer={"decomposition": "dense"},
        space=Space.parse({"task": {"value": tuple(range(points))}}, {}),
        search=Search(objectives=(("rmse", "minimize"),)),
        seeds=(0,),
        threads=1,
        checkpoint_s=0,
        **options,
    )

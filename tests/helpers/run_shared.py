"""A worker of the study in RANKBENCH_STORAGE.

`python -m tests.helpers.run_shared FOLDER POINTS [RESULTS]`.

With the URL of results it shares no file: its log lies where it runs. No run ends before each
worker has begun one (RANKBENCH_MEETING, a folder whose name is their number, has their marks). One
with RANKBENCH_DIES kills itself in its first run.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from pathlib import Path

from rankbench.engine.queue import Row
from rankbench.engine.runner import StudyRun
from rankbench.tasks import TASKS
from tests.engine.test_study import Silent, make_study
from tests.helpers.probe import Probe


class Dying(Silent):
    """Kills this process once a run of it has begun."""

    def on_row(self, worker: int, table: str, row: Row) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def main(folder: str, points: str, results: str | None = None) -> int:
    TASKS["probe"] = Probe
    space = {"task": {"value": tuple(range(int(points)))}}
    storage = os.environ["RANKBENCH_STORAGE"]
    task = {"how": "meets", **({"log": "log"} if results else {})}
    study = make_study(Path(folder), space, task=task, storage=storage, threads=1)
    if results:
        study = dataclasses.replace(study, results=results)
    listener = Dying() if "RANKBENCH_DIES" in os.environ else Silent()
    StudyRun(study).join(listener, again=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

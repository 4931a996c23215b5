"""A worker of the study in RANKBENCH_STORAGE.

`python -m tests.helpers.run_shared FOLDER POINTS [RESULTS]`.

With the URL of results it shares no file: its log lies where it runs.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path

from rankbench.engine.runner import StudyRun
from rankbench.tasks import TASKS
from tests.engine.test_study import Silent, make_study
from tests.helpers.probe import Probe


def main(folder: str, points: str, results: str | None = None) -> int:
    TASKS["probe"] = Probe
    space = {"task": {"value": tuple(range(int(points)))}}
    storage = os.environ["RANKBENCH_STORAGE"]
    task = {"log": "log", "sleep_s": 0.1} if results else {}
    study = make_study(Path(folder), space, task=task, storage=storage, heartbeat_s=1, threads=1)
    if results:
        study = dataclasses.replace(study, results=results)
    StudyRun(study).join(Silent(), again=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

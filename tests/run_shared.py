"""`python -m tests.run_shared FOLDER POINTS`: a worker of the study in RANKBENCH_STORAGE."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from harness.study import StudyRun
from harness.tasks import TASKS
from tests.probe import Probe
from tests.test_study import Silent, make_study


def main(folder: str, points: str) -> int:
    TASKS["probe"] = Probe
    space = {"task": {"value": tuple(range(int(points)))}}
    storage = os.environ["RANKBENCH_STORAGE"]
    study = make_study(Path(folder), space, storage=storage, heartbeat_s=1, threads=1)
    StudyRun(study).join(Silent(), again=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

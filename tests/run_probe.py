"""`python -m tests.run_probe FOLDER HOW POINTS`: a study of probes in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from harness.study import StudyRun
from harness.tasks import TASKS
from tests.probe import Probe
from tests.test_study import Silent, make_study


def main(folder: str, how: str, points: str) -> int:
    TASKS["probe"] = Probe
    space = {"task": {"value": tuple(range(int(points)))}}
    task = {"how": how, "sleep_s": 0.2}
    execution = StudyRun(make_study(Path(folder), space, task=task, workers=2))
    execution.run(Silent())
    return 1 if execution.stop.is_set() else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

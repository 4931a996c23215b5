"""A study of probes in a process of its own.

`python -m tests.helpers.run_probe FOLDER HOW POINTS`. FOLDER/rows gets a line for each row of
`runs` that the study received from a run.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rankbench.engine.queue import Row
from rankbench.engine.runner import StudyRun
from rankbench.tasks import TASKS
from tests.engine.test_study import Silent, make_study
from tests.helpers.probe import Probe


class Noting(Silent):
    """Notes the rows that come while runs execute."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_row(self, worker: int, table: str, row: Row) -> None:
        if table == "runs":
            with (self.folder / "rows").open("a") as rows:
                rows.write(f"{worker}\n")


def main(folder: str, how: str, points: str) -> int:
    TASKS["probe"] = Probe
    space = {"task": {"value": tuple(range(int(points)))}}
    task = {"how": how, "sleep_s": 0.2}
    execution = StudyRun(make_study(Path(folder), space, task=task, workers=2))
    execution.run(Noting(Path(folder)))
    return 1 if execution.stop.is_set() else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""`python -m tests.faults.supervisor OPTIONS`: a place's study, run as `rankbench run` runs one."""

from __future__ import annotations

import json
import random
import sys
import time
from typing import Any

from rankbench.common.exit_codes import DONE, FAILED
from rankbench.engine.queue import Row
from rankbench.engine.runner import StudyRun
from rankbench.tasks.base import Point
from tests.faults.place import make_study

_STEPS_S = (-86_400.0, -3600.0, -1.0, 1.0, 3600.0, 86_400.0)


class Silent:
    """Watches and says nothing."""

    def on_run_started(self, worker: int, point: Point, seed: int) -> None: ...
    def on_row(self, worker: int, table: str, row: Row) -> None: ...
    def on_run_finished(self, worker: int, row: Row) -> None: ...
    def on_runs_skipped(self, point: Point, runs: int) -> None: ...


def step_the_clock() -> None:
    """The wall clock of this process jumps a day, an hour or a second at every look at it."""
    true, steps = time.time, random.Random(0)
    time.time = lambda: true() + steps.choice(_STEPS_S)


def main(text: str) -> int:
    options: dict[str, Any] = json.loads(text)
    if options.pop("clock", False):
        step_the_clock()
    execution = StudyRun(make_study(options))
    try:
        execution.run(Silent())
    except OSError as error:
        print(f"rankbench: error: {error}")
        return FAILED
    print(len(execution.measured), "measured")
    return DONE if len(execution.pending()) == options["hopeless"] else FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

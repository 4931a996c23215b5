"""A task for tests of the engine: it does what its settings say, in a child process or not."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from rankbench.layers.settings import LayerSettings
from rankbench.tasks.base import Context, Point, Replicate, Row, RunCost, Task
from rankbench.training.settings import Diverged


@dataclass(frozen=True, kw_only=True)
class Probe(Task):
    """Yields one epoch, then ends as `how` says; appends its id to the file `log`."""

    name: ClassVar[str] = "probe"
    uses_cell: ClassVar[bool] = False
    trains: ClassVar[bool] = False
    trains_together: ClassVar[bool] = True

    how: str = "done"
    value: int = 0
    sleep_s: float = 0.0
    log: str = ""

    def sizes(self) -> tuple[int, int]:
        return 4, 4

    def check(self, point: Point) -> None:
        if self.how == "invalid":
            raise ValueError(f"value {self.value} is invalid")

    def describe(self) -> dict[str, Any]:
        return {"target": self.how, "noise": float(self.value)}

    def run_cost(self, point: Point) -> RunCost:
        return RunCost(flops=1.0, calls=1, steps=1)

    def run(self, point: Point, context: Context) -> Iterator[Row]:
        if self.log:
            with Path(self.log).open("a") as log:
                log.write(f"{point.run_id(context.seed)}\n")
        if self.how == "meets":
            self.come()
        yield "epochs", {"epoch": 1, "train_loss": 0.5}
        yield "runs", {"epochs": 1}
        time.sleep(self.sleep_s)
        match self.how:
            case "error":
                raise ValueError("the probe was told to fail\nsecond line")
            case "bug":
                raise KeyError("x")
            case "diverged":
                raise Diverged("training loss is nan in epoch 2")
            case "odd" | "odd, then forever" if context.seed % 2:
                raise Diverged("training loss is nan in epoch 2")
            case "odd, then forever":
                time.sleep(3600)
            case "memory":
                raise MemoryError("no more")
            case "exit":
                os._exit(7)
            case "kill":
                os.kill(os.getpid(), 9)
            case "forever":
                time.sleep(3600)
            case "wait":  # until a file says that it may end
                while not Path(f"{self.log}.end").exists():
                    time.sleep(0.02)
            case "meets":
                self.meet()
            case "once":  # fails until a file says that it has been tried
                tried = Path(f"{self.log}.tried-{self.value}")
                if not tried.exists():
                    tried.touch()
                    raise ValueError("the first try fails")
        yield "runs", {"rmse": self.value + 0.25 * context.seed}

    def come(self) -> None:
        """Leave a mark of this folder in RANKBENCH_MEETING."""
        (Path(os.environ["RANKBENCH_MEETING"]) / Path.cwd().name).touch()

    def meet(self) -> None:
        """Wait until there are as many marks in RANKBENCH_MEETING as its name says."""
        meeting = Path(os.environ["RANKBENCH_MEETING"])
        while len(list(meeting.iterdir())) < int(meeting.name):
            time.sleep(0.02)

    def run_together(
        self, point: Point, contexts: Sequence[Context]
    ) -> Iterator[Sequence[Replicate]]:
        for place, context in enumerate(contexts):
            try:
                yield from ([(place, row)] for row in self.run(point, context))
            except Diverged as stop:
                yield [(place, stop)]


def probe_point(**settings: Any) -> Point:
    layer = LayerSettings(decomposition="dense").resolve(4, 4)
    return Point(task=Probe(**settings), layer=layer)

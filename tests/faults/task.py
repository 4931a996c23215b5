"""A run whose result is known beforehand, so that a wrong, lost or double row shows."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from rankbench.tasks.base import Context, Point, Row, RunCost, Task

EPOCHS = 3


@dataclass(frozen=True, kw_only=True)
class Known(Task):
    """Sleeps `sleep_s`, then yields `known(value, seed)`; with `unruly`, some values misbehave."""

    name: ClassVar[str] = "known"
    uses_cell: ClassVar[bool] = False
    trains: ClassVar[bool] = False

    value: int = 0
    sleep_s: float = 0.0
    unruly: bool = False

    def sizes(self) -> tuple[int, int]:
        return 4, 4

    def check(self, point: Point) -> None:
        pass

    def describe(self) -> dict[str, Any]:
        return {"noise": float(self.value)}

    def run_cost(self, point: Point) -> RunCost:
        return RunCost(flops=1.0, calls=1, steps=1)

    def run(self, point: Point, context: Context) -> Iterator[Row]:
        for epoch in range(1, EPOCHS + 1):
            yield "epochs", {"epoch": epoch, "train_loss": 1 / epoch}
        if self.unruly and self.value in MISHAPS:
            MISHAPS[self.value][0]()
        time.sleep(self.sleep_s)
        yield "runs", {"epochs": EPOCHS, "rmse": known(self.value, context.seed)}


def known(value: int, seed: int) -> float:
    """The result of a run."""
    return value + seed / 8


def _hang() -> None:
    time.sleep(3600)


def _eat() -> None:
    kept = []
    while True:
        kept.append(bytearray(os.urandom(1) * 2**24))


def _leave_a_child() -> None:
    """A daemon by the book: two forks and a session of its own."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(3600)
        os._exit(0)


# What an unruly run of a value does, and the status that it ends with.
MISHAPS = {3: (_hang, "timeout"), 5: (_eat, "out_of_memory"), 7: (_leave_a_child, "done")}

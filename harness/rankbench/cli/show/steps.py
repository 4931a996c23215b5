"""Progress of commands that run one step after the other: `bench`, `plans` and `validate`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rich.console import Console

from rankbench.cli.show.bar import ProgressBars
from rankbench.common.text import duration

Step = TypeVar("Step")


class StepProgress(ProgressBars):
    """A bar with the time left; without a terminal, a line for each finished step.

    Args:
        console: Where to print.
        total: Number of steps.
        guess_s: Estimated seconds of the first step; later estimates use the average so far.
    """

    def __init__(self, console: Console, total: int, guess_s: float) -> None:
        super().__init__(console)
        self._total, self._guess_s = total, guess_s
        self._done, self._start, self._name = 0, time.monotonic(), ""
        self._bar = self.add_bar("", float(total))

    def over(self, steps: Iterable[Step], name: Callable[[Step], str]) -> Iterator[Step]:
        """Iterate over the steps; a step counts as finished when the next one is requested.

        Args:
            steps: The steps.
            name: Returns the name of a step.
        """
        for step in steps:
            self._name = name(step)
            self.note("")
            yield step
            self._done += 1
            self._bars.update(self._bar, completed=self._done)
            self.line(f"[{self._done}/{self._total}] {self._name} ({self.left()})")

    def note(self, text: str) -> None:
        """Show a note on the current step beside the bar."""
        note = f"{self._done}/{self._total}, {self.left()} {text}"
        self._bars.update(self._bar, description=self._name, note=note)

    def left(self) -> str:
        """Return the estimated time for the remaining steps, as text."""
        elapsed = time.monotonic() - self._start
        each = elapsed / self._done if self._done else self._guess_s
        return f"{duration(each * (self._total - self._done))} left"

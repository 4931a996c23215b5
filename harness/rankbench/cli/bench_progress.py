"""Progress of a bench on a screen: a bar with time left, or lines where there is no terminal."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console

from rankbench.bench.contest import Contest
from rankbench.cli.progress_bar import bars
from rankbench.common.text import duration


class BenchProgress:
    """Watches `total` contests; one takes as long as those before, at first `guess_s`."""

    def __init__(self, console: Console, total: int, guess_s: float) -> None:
        self._console, self._total, self._guess_s = console, total, guess_s
        self._done, self._start = 0, time.monotonic()
        self._name = ""
        self._bar = bars(console)
        self._task = self._bar.add_task("bench", total=float(total), note="")

    def __enter__(self) -> BenchProgress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def begin(self, contest: Contest) -> None:
        """A contest begins."""
        self._name = f"{contest.name}, batch {contest.batch}, {contest.dtype}"
        self.told("")

    def told(self, who: str) -> None:
        """A contender of the contest is at work."""
        note = f"{self._done}/{self._total}, {self.left()} {who}"
        self._bar.update(self._task, description=self._name, note=note)

    def end(self) -> None:
        """The contest is over and its rows are stored."""
        self._done += 1
        self._bar.update(self._task, completed=self._done)
        if not self._console.is_terminal:
            line = f"[{self._done}/{self._total}] {self._name} ({self.left()})"
            self._console.print(line, markup=False)

    def left(self) -> str:
        """The time the contests that are not over should take."""
        elapsed = time.monotonic() - self._start
        each = elapsed / self._done if self._done else self._guess_s
        return f"{duration(each * (self._total - self._done))} left"

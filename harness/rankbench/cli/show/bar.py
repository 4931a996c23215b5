"""Progress bars, shown only on a terminal; elsewhere a line now and then."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class ProgressBars:
    """Bars with a note each, on a terminal alone; `line` prints a line anywhere else."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._said = time.monotonic()

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def add_bar(self, name: str, total: float | None, note: str = "") -> TaskID:
        """A new bar below the others."""
        return self._bars.add_task(name, total=total, note=note)

    def line(self, text: str, every_s: float = 0.0) -> None:
        """Print a line where there is no terminal, unless the last is newer than `every_s`."""
        now = time.monotonic()
        if not self.console.is_terminal and now - self._said >= every_s:
            self._said = now
            self.console.print(text, markup=False, soft_wrap=True)

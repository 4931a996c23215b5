"""Progress bars on a terminal, replaced elsewhere by occasional lines."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class ProgressBars:
    """Progress bars with a note each on a terminal; elsewhere, `line` prints lines instead."""

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
        """Add a bar below the others."""
        return self._bars.add_task(name, total=total, note=note)

    def line(self, text: str, every_s: float = 0.0) -> None:
        """Print a line if the output is not a terminal.

        Args:
            text: The line.
            every_s: Least time since the last line in seconds; an earlier line is not printed.
        """
        now = time.monotonic()
        if not self.console.is_terminal and now - self._said >= every_s:
            self._said = now
            self.console.print(text, markup=False, soft_wrap=True)

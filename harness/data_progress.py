"""Progress of `rankbench data` on a screen: a bar with time left, or lines without a terminal."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType

from rich.console import Console

from harness.bars import bars
from harness.label import duration

_LINE_EVERY_S = 5.0


class DataProgress:
    """Watches clips being stored; those stored before count as done, not as work."""

    def __init__(self, console: Console, name: str) -> None:
        self._console = console
        self._total = self._before = self._done = 0
        self.frames, self._start, self._said = 0, time.monotonic(), 0.0
        self._bar = bars(console)
        self._task = self._bar.add_task(name, total=None, note="looking for clips")

    def __enter__(self) -> DataProgress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def unpacking(self, archive: Path) -> None:
        """An archive is being unpacked."""
        self._bar.update(self._task, note=f"unpacking {archive.name}")
        if not self._console.is_terminal:
            self._console.print(f"unpacking {archive.name}", markup=False)

    def begin(self, clips: int, stored: int) -> None:
        """`stored` of `clips` were stored before."""
        self._total, self._before = clips, stored
        self._start = self._said = time.monotonic()
        self._show()

    def clip(self, clip_id: str, frames: int, problem: str) -> None:
        """A clip is stored with so many frames, or skipped."""
        self._done += 1
        self.frames += frames
        if problem:
            self._console.print(f"skipped {clip_id}: {problem}", markup=False, soft_wrap=True)
        self._show()

    @property
    def fresh(self) -> bool:
        """Whether there was a clip to decode."""
        return self._before < self._total

    @property
    def rate(self) -> float:
        """Frames a second since the first clip was begun."""
        return self.frames / max(time.monotonic() - self._start, 1e-9)

    def _show(self) -> None:
        at = self._before + self._done
        note = f"{at}/{self._total} clips, {self.rate:.0f} frames/s, {self._left()}"
        self._bar.update(self._task, total=self._total, completed=at, note=note)
        now = time.monotonic()
        if not self._console.is_terminal and now - self._said >= _LINE_EVERY_S:
            self._said = now
            self._console.print(note, markup=False)

    def _left(self) -> str:
        if not self._done:
            return "estimating"
        each = (time.monotonic() - self._start) / self._done
        return f"{duration(each * (self._total - self._before - self._done))} left"

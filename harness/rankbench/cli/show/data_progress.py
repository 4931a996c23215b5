"""Progress of `rankbench data`: a bar with the time left, or lines without a terminal."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console

from rankbench.cli.show.bar import ProgressBars
from rankbench.common.text import duration

_LINE_EVERY_S = 5.0


class _Progress(ProgressBars):
    """A bar on a terminal; elsewhere a line every few seconds."""

    def __init__(self, console: Console, name: str, note: str) -> None:
        super().__init__(console)
        self._start = time.monotonic()
        self._bar = self.add_bar(name, None, note)

    def _elapsed(self) -> float:
        return max(time.monotonic() - self._start, 1e-9)

    def _left(self, done: int, rest: int) -> str:
        """Estimate the time for the rest, given how much was done since the start."""
        return f"{duration(self._elapsed() / done * rest)} left" if done else "estimating"

    def _show(self, at: int, total: int, note: str) -> None:
        self._bars.update(self._bar, total=total, completed=at, note=note)
        self.line(note, every_s=_LINE_EVERY_S)


class DataProgress(_Progress):
    """Progress of storing clips. Clips stored earlier count as done, but not for the speed."""

    def __init__(self, console: Console, name: str) -> None:
        super().__init__(console, name, "looking for clips")
        self._total = self._before = self._done = self.frames = 0

    def unpacking(self, archive: Path) -> None:
        """Show that an archive is being unpacked."""
        self._bars.update(self._bar, note=f"unpacking {archive.name}")
        self.line(f"unpacking {archive.name}")

    def begin(self, clips: int, stored: int) -> None:
        """Start with `clips` clips, of which `stored` were stored earlier."""
        self._total, self._before = clips, stored
        self._start = time.monotonic()
        self._tell()

    def clip(self, clip_id: str, frames: int, problem: str) -> None:
        """Count a clip that was stored or skipped.

        Args:
            clip_id: Id of the clip.
            frames: Number of its frames that were stored.
            problem: Reason for which it was skipped; empty if it was stored.
        """
        self._done += 1
        self.frames += frames
        if problem:
            self.console.print(f"skipped {clip_id}: {problem}", markup=False, soft_wrap=True)
        self._tell()

    @property
    def fresh(self) -> bool:
        """Whether there were any clips to decode."""
        return self._before < self._total

    @property
    def rate(self) -> float:
        """Frames per second since decoding began."""
        return self.frames / self._elapsed()

    def _tell(self) -> None:
        at = self._before + self._done
        left = self._left(self._done, self._total - at)
        note = f"{at}/{self._total} clips, {self.rate:.0f} frames/s, {left}"
        self._show(at, self._total, note)


class FeatureProgress(_Progress):
    """Progress of computing features of frames."""

    def __init__(self, console: Console, name: str) -> None:
        super().__init__(console, name, "loading the net")
        self._before: int | None = None
        self.made = 0

    def __call__(self, done: int, total: int, /) -> None:
        """Update the number of frames done; the first call counts those of earlier runs."""
        if self._before is None:
            self._before = done
            self._start = time.monotonic()
        self.made = done - self._before
        left = self._left(self.made, total - done)
        self._show(done, total, f"{done}/{total} frames, {self.rate:.0f} frames/s, {left}")

    @property
    def rate(self) -> float:
        """Frames per second since computing began."""
        return self.made / self._elapsed()

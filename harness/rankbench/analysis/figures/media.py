"""Where a figure is shown, which decides its size and that of its letters."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from rankbench.common.checks import one_of

FONT = 9.0  # points, of the letters of a figure as it is designed
_NARROWED = 0.75  # of its designed width a figure still reads well at


@dataclass(frozen=True)
class Medium:
    """What a page has room for: widths and height in inches, letters in points.

    A figure takes the first of `widths` that it fits; letters shrink from the greater to the
    lesser of `letters` before a figure is narrowed or flattened.
    """

    widths: tuple[float, ...]
    height: float
    letters: tuple[float, float]

    def fit(self, width: float, height: float) -> tuple[float, float, float]:
        """Width, height and scale of letters of a figure designed as `width` by `height`."""
        least, most = (size / FONT for size in self.letters)
        room = next((w for w in self.widths if width * least * _NARROWED <= w), self.widths[-1])
        scale = max(least, min(most, room / width, self.height / height))
        return min(room, width * scale), min(self.height, height * scale), scale


MEDIA: dict[str, Medium] = {
    "screen": Medium((math.inf,), math.inf, (FONT, FONT)),
    "paper": Medium((3.25, 6.875), 9.0, (6.0, 7.0)),  # a column, and two with the gap between
    "slide": Medium((40 / 3,), 7.5, (FONT, 16.0)),  # 16:9, as programs for slides have it
}
_medium: ContextVar[str] = ContextVar("medium", default="screen")


@contextmanager
def shown_on(medium: str) -> Iterator[None]:
    """Figures made within are for `medium`, one of MEDIA.

    Raises ValueError for another.
    """
    one_of("style", medium, MEDIA)
    token = _medium.set(medium)
    try:
        yield
    finally:
        _medium.reset(token)


def tallest() -> float:
    """Inches that a figure for the medium at hand may be high."""
    return MEDIA[_medium.get()].height


def fitted(width: float, height: float) -> tuple[float, float, float]:
    """Width, height and scale of letters of a figure for the medium at hand."""
    return MEDIA[_medium.get()].fit(width, height)

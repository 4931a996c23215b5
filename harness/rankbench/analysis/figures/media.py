"""Fit figures to the medium that shows them: a screen, a paper or a slide."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from rankbench.common.checks import one_of

FONT = 9.0  # The font size in points that figures are designed for.
_NARROWED = 0.75  # A figure stays readable at this share of its designed width.


@dataclass(frozen=True)
class Medium:
    """The space that a medium has for a figure.

    A font is reduced from the larger to the smaller of `letters` before a figure is made narrower
    or lower than designed.
    """

    widths: tuple[float, ...]
    """Possible widths in inches, ascending. A figure takes the first that it fits."""
    height: float
    """The largest height in inches."""
    letters: tuple[float, float]
    """The smallest and largest font size in points."""

    def fit(self, width: float, height: float) -> tuple[float, float, float]:
        """Fit a figure to the medium.

        Args:
            width: The designed width in inches.
            height: The designed height in inches.

        Returns:
            Width and height in inches, and the factor by which to scale the font.
        """
        least, most = (size / FONT for size in self.letters)
        room = next((w for w in self.widths if width * least * _NARROWED <= w), self.widths[-1])
        scale = max(least, min(most, room / width, self.height / height))
        return min(room, width * scale), min(self.height, height * scale), scale


MEDIA: dict[str, Medium] = {
    "screen": Medium((math.inf,), math.inf, (FONT, FONT)),
    "paper": Medium((3.25, 6.875), 9.0, (6.0, 7.0)),  # One column, or two with the gap.
    "slide": Medium((40 / 3,), 7.5, (FONT, 16.0)),  # The usual 16:9 slide.
}
_medium: ContextVar[str] = ContextVar("medium", default="screen")


@contextmanager
def shown_on(medium: str) -> Iterator[None]:
    """Return a context in which new figures are fitted to a medium.

    Args:
        medium: A key of MEDIA.

    Raises:
        ValueError: If the medium is unknown.
    """
    one_of("style", medium, MEDIA)
    token = _medium.set(medium)
    try:
        yield
    finally:
        _medium.reset(token)


def tallest() -> float:
    """Return the largest height of a figure for the current medium, in inches."""
    return MEDIA[_medium.get()].height


def fitted(width: float, height: float) -> tuple[float, float, float]:
    """Fit a figure to the current medium (see `Medium.fit`)."""
    return MEDIA[_medium.get()].fit(width, height)

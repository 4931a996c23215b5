"""The parts of an interactive chart: its views as plain Plotly data, and the text beside them."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from rankbench.analysis.figures import style
from rankbench.analysis.names import NAMES
from rankbench.analysis.summaries.rows import CONDITIONS, at_noise, varying
from rankbench.common.text import metric, plain

Trace = dict[str, Any]

# Placeholders that the page replaces by its text colours, because black marks would vanish on a
# dark page.
INK, MUTED = "@ink", "@muted"
SYMBOLS: dict[str, str] = {
    "s": "square",
    "X": "x",
    "v": "triangle-down",
    "P": "cross",
    "D": "diamond",
    "o": "circle",
    "^": "triangle-up",
    "*": "star",
    "d": "diamond-tall",
}
_GLYPHS = {"s": "■", "X": "✖", "v": "▼", "P": "✚", "D": "◆", "o": "●", "^": "▲", "*": "★"}
MOST = 1500  # The most marks in a chart; with more, panning an SVG becomes slow.


@dataclass(frozen=True, kw_only=True)
class Axis:
    """An axis of a view."""

    title: str
    """The title, with the unit in brackets."""
    log: bool = False
    """Whether the axis is logarithmic."""
    ticks: str = ""
    """The d3 format of the tick labels, such as "~s"; empty for Plotly's default."""


@dataclass(frozen=True, kw_only=True)
class View:
    """One of the pictures that a chart offers to choose from."""

    name: str
    """The name in the menu."""
    traces: list[Trace]
    """The Plotly traces."""
    x: Axis
    """The horizontal axis."""
    y: Axis
    """The vertical axis."""
    note: str = ""
    """A short text about the data that are shown."""
    group: str = ""
    """The heading in the menu that this view belongs to; empty for none."""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart of the report.

    Raises:
        ValueError: there is no view.
    """

    key: str
    """The id of the chart on the page."""
    title: str
    """The heading."""
    says: str
    """A sentence or two on how to read the chart."""
    figure: str
    """The name of the figure that shows the same data in print."""
    command: str
    """The command that draws that figure."""
    views: tuple[View, ...]
    """The pictures to choose from, at least one; the first is shown at the start."""

    def __post_init__(self) -> None:
        if not self.views:
            raise ValueError(f"chart {self.key!r} must have a view, got none")

    @property
    def choices(self) -> dict[str, list[tuple[int, str]]]:
        """The index and the name of every view, by its group."""
        groups: dict[str, list[tuple[int, str]]] = {}
        for place, view in enumerate(self.views):
            groups.setdefault(view.group, []).append((place, view.name))
        return groups

    def plain(self) -> dict[str, Any]:
        """Return the chart as dicts and lists; `page.finite` then removes what JSON cannot hold."""
        return asdict(self)


def key(*words: str) -> str:
    """Join words to an HTML id of lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(words).lower()).strip("-") or "chart"


def hover(lines: Iterable[str]) -> str:
    """Return the text shown beside a mark, with the first line in bold.

    Plotly interprets some HTML, so the lines are escaped. Empty lines are dropped.
    """
    first, *others = (html.escape(plain(line), quote=False) for line in lines if line)
    return "<br>".join([f"<b>{first}</b>", *others])


def colour(name: str) -> str:
    """Return a colour for the page; black becomes the placeholder of the text colour."""
    return INK if name in ("#000000", "black") else name


def marker(family: str, size: float, *, hollow: bool = False) -> dict[str, Any]:
    """Return the Plotly marker of a family, with the colour and shape that all figures use.

    Args:
        family: a key of NAMES.
        size: the size in pixels.
        hollow: whether to draw only the outline.
    """
    return mark(style.COLOURS[family], style.MARKERS[family], size, hollow=hollow)


def mark(hue: str, shape: str, size: float, *, hollow: bool = False) -> dict[str, Any]:
    """Convert a matplotlib colour and marker to a Plotly marker.

    Args:
        hue: a colour, as a name or as hex digits.
        shape: a matplotlib marker, one of SYMBOLS.
        size: the size in pixels.
        hollow: whether to draw only the outline.
    """
    symbol = SYMBOLS[shape] + ("-open" if hollow else "")
    return {"color": colour(hue), "symbol": symbol, "size": size}


def looks() -> dict[str, dict[str, str]]:
    """Return the name, colour, symbol and glyph of every family, for the page's scripts."""
    return {
        family: {
            "name": NAMES[family],
            "colour": colour(style.COLOURS[family]),
            "symbol": SYMBOLS[shape],
            "glyph": _GLYPHS[shape],
        }
        for family, shape in style.MARKERS.items()
    }


def points(name: str, x: Sequence[Any], y: Sequence[Any], texts: Sequence[str]) -> Trace:
    """Return a Plotly trace of marks.

    Args:
        name: the name in the legend.
        x: the horizontal positions.
        y: the vertical positions.
        texts: what is shown beside each mark, from `hover`.
    """
    return {
        "type": "scatter",
        "mode": "markers",
        "name": plain(name),
        "legendgroup": plain(name),
        "x": list(x),
        "y": list(y),
        "text": list(texts),
        "hovertemplate": "%{text}<extra></extra>",
    }


def by_condition(rows: pd.DataFrame, *more: str) -> list[tuple[str, pd.DataFrame]]:
    """Split rows by the conditions under which they cannot be compared.

    Args:
        rows: rows of `runs`.
        more: columns that count as conditions besides CONDITIONS.

    Returns:
        The name and the rows of each condition; a single unnamed group where nothing varies. Groups
        at the papers' noise variance come first.
    """
    apart = varying(rows, (*CONDITIONS, *more))
    if not apart:
        return [("", rows)]
    usual = set(at_noise(rows).index)
    groups = [
        (", ".join(_said(c, v) for c, v in zip(apart, values, strict=True)), group)
        for values, group in rows.groupby(apart, dropna=False)
    ]
    return sorted(groups, key=lambda one: one[1].index[0] not in usual)


def _said(column: str, value: Any) -> str:
    known = "none" if pd.isna(value) else metric(value) if isinstance(value, float) else str(value)
    return plain(f"{column} {known}".replace("_", " "))

"""An interactive chart of the report: its views as Plotly's plain data, and what it says."""

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

# The page puts the colour of its text in their place: black marks vanish on a dark page.
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
MOST = 1500  # marks of a chart that SVG still moves at once


@dataclass(frozen=True, kw_only=True)
class Axis:
    """An axis: its title, whether it is logarithmic, and d3's format of its ticks."""

    title: str
    log: bool = False
    ticks: str = ""


@dataclass(frozen=True, kw_only=True)
class View:
    """One of the pictures of a chart: chosen by `name` among those of its `group`."""

    name: str
    traces: list[Trace]
    x: Axis
    y: Axis
    note: str = ""
    group: str = ""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart: `says` in a sentence what it shows, `command` draws `figure` again, for print.

    Raises ValueError without a view.
    """

    key: str
    title: str
    says: str
    figure: str
    command: str
    views: tuple[View, ...]

    def __post_init__(self) -> None:
        if not self.views:
            raise ValueError(f"chart {self.key!r} must have a view, got none")

    @property
    def choices(self) -> dict[str, list[tuple[int, str]]]:
        """The place and name of every view, by its group."""
        groups: dict[str, list[tuple[int, str]]] = {}
        for place, view in enumerate(self.views):
            groups.setdefault(view.group, []).append((place, view.name))
        return groups

    def plain(self) -> dict[str, Any]:
        """The chart as JSON can hold it, once `finite` has taken out what it cannot."""
        return asdict(self)


def key(*words: str) -> str:
    """An id for a page: letters, digits and dashes, whatever the words hold."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(words).lower()).strip("-") or "chart"


def hover(lines: Iterable[str]) -> str:
    """What is shown beside a mark: Plotly reads a little HTML, and gets none of the rows'."""
    first, *others = (html.escape(plain(line), quote=False) for line in lines if line)
    return "<br>".join([f"<b>{first}</b>", *others])


def colour(name: str) -> str:
    """A colour as the page reads it: black is that of its text."""
    return INK if name in ("#000000", "black") else name


def marker(family: str, size: float, *, hollow: bool = False) -> dict[str, Any]:
    """Colour and shape of a family, as in every figure."""
    return mark(style.COLOURS[family], style.MARKERS[family], size, hollow=hollow)


def mark(hue: str, shape: str, size: float, *, hollow: bool = False) -> dict[str, Any]:
    """A mark of matplotlib's colour and shape for Plotly."""
    symbol = SYMBOLS[shape] + ("-open" if hollow else "")
    return {"color": colour(hue), "symbol": symbol, "size": size}


def looks() -> dict[str, dict[str, str]]:
    """Name, colour, symbol and a letter like it of every decomposition, for scripts."""
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
    """Marks with a text each, as the base of a trace."""
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
    """The rows once per value of what makes them incomparable, by a name; all, where nothing.

    Those at the noise variance that the papers measure at come first.
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

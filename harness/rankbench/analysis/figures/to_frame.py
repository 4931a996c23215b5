"""Extract the data that a figure shows: every mark, bar and cell with its panel and series."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

COLUMNS = ("panel", "title", "x_label", "y_label", "kind", "series", "colour", "x", "y")
Drawn = dict[str, Any]


def data_of(figure: Figure) -> pd.DataFrame:
    """Return the data that a figure shows, one row per drawn item, in drawing order.

    Only items in data coordinates are included.

    Args:
        figure: The figure.

    Returns:
        A frame with the columns of COLUMNS. `panel` numbers the axes from 1. `kind` is line, marks,
        interval (x and y of its ends), bar (its far end), band (its outline) or cell (row and
        column of a picture, with the additional column `value`). `series` is the label of the item,
        else that of the only legend entry in its colour, else empty.
    """
    rows: list[Drawn] = []
    legend = _legend(figure)
    for number, ax in enumerate(figure.axes, 1):
        named = {
            "panel": number,
            "title": ax.get_title(),
            "x_label": ax.get_xlabel(),
            "y_label": ax.get_ylabel(),
        }
        for one in _things(ax):
            rows.append(named | one | {"series": one["series"] or legend.get(one["colour"], "")})
    frame = pd.DataFrame(rows, columns=[*COLUMNS, "value"])
    return frame if frame["value"].notna().any() else frame.drop(columns="value")


def _legend(figure: Figure) -> dict[str, str]:
    """Return the label of each colour that belongs to exactly one legend entry."""
    legends = [*figure.legends, *(ax.get_legend() for ax in figure.axes)]
    found: dict[str, set[str]] = {}
    for legend in (one for one in legends if one is not None):
        for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
            if isinstance(handle, Line2D):
                found.setdefault(_hex(handle.get_color()), set()).add(text.get_text())
    return {colour: min(names) for colour, names in found.items() if len(names) == 1}


def _things(ax: Axes) -> Iterator[Drawn]:
    inside = set()
    for container in ax.containers:
        if isinstance(container, ErrorbarContainer):
            data, caps, bars = container.lines
            label = _said(container.get_label())
            inside |= {id(part) for part in (data, *caps, *bars) if part is not None}
            if data is not None:
                yield from _line(data, "marks", label)
            for bar in bars:
                yield from _points("interval", label, bar.get_color(), *_ends(bar))
        elif isinstance(container, BarContainer):
            for patch in container.patches:
                inside.add(id(patch))
                far = (patch.get_x() + patch.get_width(), patch.get_y() + patch.get_height())
                label = _said(container.get_label())
                yield from _points("bar", label, patch.get_facecolor(), [far[0]], [far[1]])
    for line in ax.get_lines():
        at = line.get_transform().contains_branch_seperately(ax.transData)
        if id(line) not in inside and any(at):
            drawn = _line(line, "line", _said(line.get_label()))
            # A line across the whole panel has no coordinate in that direction.
            yield from (
                {**one, **{name: None for name, own in zip("xy", at, strict=True) if not own}}
                for one in drawn
            )
    for own in ax.collections:
        if id(own) not in inside:
            yield from _collection(own)
    for image in ax.images:
        yield from _cells(np.asarray(image.get_array()))


def _line(line: Line2D, kind: str, label: str) -> Iterator[Drawn]:
    x, y = line.get_data()
    yield from _points(kind, label, line.get_color(), x, y)


def _collection(own: Any) -> Iterator[Drawn]:
    label = _said(own.get_label())
    if isinstance(own, PathCollection):
        offsets = np.ma.getdata(own.get_offsets())
        yield from _points("marks", label, own.get_facecolor(), offsets[:, 0], offsets[:, 1])
    elif isinstance(own, PolyCollection):
        for path in own.get_paths():
            corners = np.asarray(path.vertices)
            yield from _points("band", label, own.get_facecolor(), corners[:, 0], corners[:, 1])
    elif hasattr(own, "get_segments"):
        yield from _points("interval", label, own.get_color(), *_ends(own))


def _ends(lines: Any) -> tuple[list[Any], list[Any]]:
    corners = [corner for segment in lines.get_segments() for corner in segment]
    return [x for x, _ in corners], [y for _, y in corners]


def _points(kind: str, label: str, colour: Any, xs: Any, ys: Any) -> Iterator[Drawn]:
    shown = _hex(colour)
    for x, y in zip(np.asarray(xs, dtype=object), np.asarray(ys, dtype=object), strict=True):
        yield {"kind": kind, "series": label, "colour": shown, "x": x, "y": y}


def _cells(values: Any) -> Iterator[Drawn]:
    if values.ndim == 2:
        for (row, column), value in np.ndenumerate(values):
            yield {
                "kind": "cell",
                "series": "",
                "colour": "",
                "x": column,
                "y": row,
                "value": float(value),
            }


def _hex(colour: Any) -> str:
    """Return a colour as hexadecimal digits: the first of several, "" if there is none."""
    several = np.asarray(colour, dtype=object)
    if isinstance(colour, str) or several.ndim == 1:
        return to_hex(colour)
    return to_hex(colour[0]) if len(colour) else ""


def _said(label: object) -> str:
    return "" if label is None or str(label).startswith("_") else str(label)

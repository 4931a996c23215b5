"""Names of columns and descriptions of points in the report's charts."""

from __future__ import annotations

from typing import Any

import pandas as pd

from rankbench.analysis.figures import style
from rankbench.analysis.metrics import METRICS
from rankbench.analysis.report.chart import Axis
from rankbench.analysis.summaries import labels
from rankbench.analysis.summaries.rows import entries, integer
from rankbench.common.text import count, ratio
from rankbench.store.schema import RUNS

_UNITS = {column.name: column.unit for column in RUNS}


def named(column: str) -> str:
    """Return the title of a column's axis, with its unit in brackets."""
    if column in METRICS and column != "num_params":
        return style.sentence(METRICS[column].name)
    if column == "num_params":
        return "Parameters of the input map"
    unit = _UNITS.get(column, "")
    words = column.removesuffix(f"_{unit}").replace("_", " ")
    return style.sentence(words) + (f" ({unit})" if unit and unit not in words else "")


def axis(column: str, values: pd.Series) -> Axis:
    """Return the axis of a column, logarithmic where its values span decades.

    Args:
        column: a column of `runs`.
        values: the values that are drawn.
    """
    ticks = "~s" if _UNITS.get(column) in ("parameters", "FLOPs", "elements") else ""
    return Axis(title=named(column), log=style.spans_decades(values, 8.0), ticks=ticks)


def facts(row: dict[str, Any], name: str) -> list[str]:
    """Describe a point in lines: its name, d and ranks, modes, parameters and compression ratio.

    Args:
        row: the row of `runs` of the point.
        name: the first line.

    Returns:
        Five lines, of which some may be empty.
    """
    ranks, inner = labels.ranks(row), entries(row, "ranks")
    modes = [" × ".join(map(str, entries(row, side))) for side in ("in_modes", "out_modes")]
    number = integer(row, "core_order")
    parts = [f"d={number}" if number else "", ranks]
    return [
        name,
        " ".join(part for part in parts if part),
        f"ranks {', '.join(map(str, inner))}" if inner else "",
        f"modes {modes[0]} → {modes[1]}" if all(modes) else "",
        f"{count(row['num_params'])} parameters, CR {ratio(row['compression_ratio'])}",
    ]

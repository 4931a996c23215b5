"""Mark measured and published accuracies, with intervals over runs and over test clips."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from rankbench.analysis.figures import style
from rankbench.analysis.summaries.rows import Row, records


def model_colours(table: pd.DataFrame) -> dict[str, Any]:
    """Return a colour per model: that of its family, paler for smaller models."""
    firsts = table.drop_duplicates("model")
    looks = style.line_styles({row["model"]: row["family"] for row in records(firsts)})
    return {model: look["color"] for model, look in looks.items()}


def levels_of(row: Row) -> list[float]:
    """Return the published values in a row of `by_model`."""
    return [float(part.partition(" ")[0]) for part in str(row["published"]).split("; ") if part]


def mean_mark(ax: Axes, at: float, row: Row, look: dict[str, Any], *, across: bool = False) -> None:
    """Draw the mean of a row of `by_model`, with its intervals over runs and over clips.

    Args:
        ax: The axes to draw on.
        at: The position on the axis that does not show accuracy.
        row: A row of `by_model`.
        look: Properties of the mark; bars share its colour.
        across: Whether accuracy is on the x axis.
    """
    for low, high, width, alpha in (
        (row["clips_low"], row["clips_high"], 0.9, 0.6),
        (row["low"], row["high"], 2.6, 0.8),
    ):
        if not math.isnan(low):
            bar = {"color": look["color"], "lw": width, "alpha": alpha, "zorder": 3}
            ax.plot(*_turned([at, at], [max(0, low), min(1, high)], across), **bar)
    mark: dict[str, Any] = {**look, "markeredgecolor": "white", "mew": 0.5, "zorder": 4}
    ax.plot(*_turned([at], [row["mean"]], across), linestyle="", **mark)


def _turned(at: list[float], values: list[float], across: bool) -> tuple[list[float], list[float]]:
    return (values, at) if across else (at, values)


def interval_notes(table: pd.DataFrame) -> list[str]:
    """Describe for a caption what thick and thin bars mean."""
    thin = "thin bar: 95% Wilson interval over the test clips"
    most = int(table["runs"].max())
    if most == 1:
        return ["one run", thin]
    least = int(table["runs"].min())
    span = f"{most}" if least == most else f"{least} to {most}"
    return [f"mean of {span} runs", "thick bar: its 95% t interval over runs", thin]

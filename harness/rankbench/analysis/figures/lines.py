"""Draw lines over epochs with bands, and mark published levels beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from rankbench.analysis.figures import style
from rankbench.analysis.stats.intervals import mean_intervals

Looks = dict[str, dict[str, Any]]


def draw_lines(
    ax: Axes,
    column: str,
    chosen: pd.DataFrame,
    epochs: pd.DataFrame,
    looks: Looks,
) -> None:
    """Draw the mean of `column` over the runs of each point, in its 95% t interval.

    On a log axis the band is the range of the runs, because a t interval may extend below 0.

    Args:
        ax: The axes to draw on.
        column: A column of `epochs`.
        chosen: Runs, with the columns `run_id` and `point_id`.
        epochs: Rows of the `epochs` table.
        looks: Line properties by point_id; other points are not drawn.
    """
    curve = epochs.merge(chosen[["run_id", "point_id"]], on="run_id").dropna(subset=[column])
    lines = {
        point: mean_intervals(own[column], own["epoch"]) for point, own in curve.groupby("point_id")
    }
    means = [mean for found in lines.values() for mean in found["mean"]]
    decades = not column.endswith("accuracy") and style.spans_decades(means, factor=30)
    ends = ["least", "greatest"] if decades else ["low", "high"]
    for point, look in looks.items():
        if point not in lines:
            continue
        found = lines[point]
        x = found.index.to_numpy(dtype=float)
        ax.plot(x, found["mean"], label=point, **look)
        if found["low"].notna().any():
            low, high = (found[end] for end in ends)
            ax.fill_between(x, low, high, color=look["color"], alpha=0.15, lw=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    _limits(ax, column, means, decades=decades)


def _limits(ax: Axes, column: str, means: Sequence[float], *, decades: bool) -> None:
    if column.endswith("accuracy"):
        ax.set_ylim(0, 1)
    elif decades:
        ax.set_yscale("log")
        ax.set_ylim(min(means) / 1.6, max(means) * 1.6)
        style.log_axis(ax.yaxis, min(means), max(means))
    else:
        ax.set_ylim(0, max(means, default=1.0) * 1.08)


def draw_published(ax: Axes, levels: Mapping[str, Iterable[float]], looks: Looks) -> None:
    """Draw a triangle on the right edge of `ax` at each published accuracy.

    Args:
        ax: The axes to draw on.
        levels: Published accuracies by the name of a line.
        looks: Line properties by the name of a line.
    """
    edge = ax.get_yaxis_transform()
    for name, accuracies in levels.items():
        for accuracy in accuracies:
            look = {"color": looks[name]["color"], "transform": edge, "clip_on": False}
            ax.plot([1.0], [accuracy], "<", **look)

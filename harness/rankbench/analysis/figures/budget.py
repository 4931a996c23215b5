"""Draw the error or accuracy of every decomposition at equal numbers of parameters."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rankbench.analysis.figures import style
from rankbench.analysis.names import NAMES
from rankbench.analysis.stats.contrasts import WORSE
from rankbench.analysis.summaries.budgets import BUDGETS, metric_of, ranking
from rankbench.analysis.summaries.rows import records


def budget(runs: pd.DataFrame) -> Figure:
    """Draw the metric against the parameter budget, a line per decomposition.

    There is a panel per condition.

    Hollow marks are shown to be worse than the best at their budget (see `budgets.ranking`); filled
    marks are the best or not shown to differ from it. Bars are 95% t intervals over seeds.

    Args:
        runs: Rows of the `runs` table.

    Raises:
        ValueError: If there are fewer than three decompositions at two budgets.
    """
    metric, points = metric_of(runs), ranking(runs)
    if points.empty:
        raise ValueError("budget: fewer than three decompositions at two budgets of parameters")
    parts = list(dict.fromkeys(points["part"]))
    with style.house():
        figure = style.new(1.6 + 3.6 * len(parts), 4.2)
        axes = figure.subplots(1, len(parts), squeeze=False, sharey=True)[0]
        for ax, part in zip(axes, parts, strict=True):
            own = points[points["part"] == part]
            _panel(ax, own)
            title = part.replace("_", " ")
            title = f"W: {title}" if title and metric.column == "rmse" else title
            y = metric.name if ax is axes[0] else ""
            style.name_axes(ax, x="parameters of the input map, about", y=y, title=title)
        if metric.less_is_better and style.spans_decades(points["mean"], 5):
            axes[0].set_yscale("log")
            style.log_axis(axes[0].yaxis, points["mean"].min(), points["mean"].max())
        style.legend_above(figure, _handles(points), 7)
        style.caption(figure, [_note(points)])
    return figure


def _panel(ax: Axes, points: pd.DataFrame) -> None:
    families = [family for family in NAMES if family in set(points["family"])]
    budgets = sorted(set(points["budget"]))
    for place, family in enumerate(families):
        own = points[points["family"] == family].sort_values("budget")
        # Move the families apart, so that no bar hides another.
        x = own["budget"].to_numpy(float) * 1.035 ** (place - (len(families) - 1) / 2)
        mark = style.mark(family, 6.0)
        ax.plot(x, own["mean"], color=mark["color"], linewidth=1.0, alpha=0.6)
        ax.vlines(x, own["low"], own["high"], color=mark["color"], linewidth=1.0)
        for at, row in zip(x, records(own), strict=True):
            face = "white" if row["verdict"] == WORSE else mark["color"]
            ax.plot(at, row["mean"], **mark, markerfacecolor=face, linestyle="", zorder=3)
    ax.set_xscale("log")
    ax.set_xticks(budgets, [f"{size:,}".replace(",", " ") for size in budgets])
    ax.set_xticks([], minor=True)


def _handles(points: pd.DataFrame) -> list[Line2D]:
    return style.family_handles(list(points["family"]))


def _note(points: pd.DataFrame) -> str:
    away = np.abs(points["num_params"] / points["budget"] - 1).max()
    seeds = int(points["seeds"].max())
    return (
        f"hollow: shown to be worse than the best of its budget (paired t test over {seeds} seeds, "
        "Holm's p below 0.05, bootstrap interval without 0), filled: the best, or no difference "
        f"shown; bars: 95% t intervals; parameters within {away:.0%} of "
        f"{', '.join(f'{size:,}' for size in BUDGETS).replace(',', ' ').replace('  ', ', ')}"
    )

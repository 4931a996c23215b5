"""Draw the error of block terms against their Tucker-rank, within and beyond BT's bound."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rankbench.analysis.figures import style
from rankbench.analysis.summaries.rank_bound import by_rank
from rankbench.analysis.summaries.rows import left_out


def rank_bound(runs: pd.DataFrame) -> Figure:
    """Draw the RMSE of W against R of block terms, a line per core order and a panel per target.

    Marks are filled up to R = min(I_k, J_k) and hollow beyond (BT Eq. 10). Bars are 95% t intervals
    over seeds.

    Args:
        runs: Rows of the `runs` table.

    Raises:
        ValueError: If no finished run recovered a W with block terms of N = 1.
    """
    points = by_rank(runs)
    if points.empty:
        raise ValueError("rank_bound: no finished run recovered a W with block terms of N = 1")
    targets = list(dict.fromkeys(points["target"]))
    with style.house():
        figure = style.new(1.2 + 3.6 * len(targets), 3.8)
        axes = figure.subplots(1, len(targets), squeeze=False, sharey=True)[0]
        for ax, target in zip(axes, targets, strict=True):
            _panel(ax, points[points["target"] == target])
            title = f"W: {target.replace('_', ' ')}"
            style.name_axes(
                ax, x="Tucker-rank R", y="RMSE of W" if ax is axes[0] else "", title=title
            )
        handles = axes[-1].get_lines()
        named = [line for line in handles if not str(line.get_label()).startswith("_")]
        style.legend_above(figure, named, 5)
        notes = [
            "filled: R within min(I_k, J_k), hollow: beyond; N = 1, 95% t intervals over seeds"
        ]
        style.caption(figure, [*notes, left_out(runs[runs["status"] == "done"], runs)])
    return figure


def has_bound(runs: pd.DataFrame) -> bool:
    """Return whether block terms recovered a W with R both within the bound and beyond it."""
    points = by_rank(runs)
    if points.empty:
        return False
    beyond = points["tucker_rank"] > points["bound"]
    return bool(beyond.any() and not beyond.all())


def _panel(ax: Axes, points: pd.DataFrame) -> None:
    orders = sorted(set(points["core_order"]))
    for step, order in enumerate(orders):
        own = points[points["core_order"] == order].sort_values("tucker_rank")
        look = style.line_look(style.COLOURS["block_term"], step, len(orders))
        x, y = own["tucker_rank"].to_numpy(float), own["mean"].to_numpy(float)
        ax.plot(x, y, label=f"d={order}", **look)
        ax.vlines(x, own["low"], own["high"], color=look["color"], linewidth=1.0)
        beyond = (own["tucker_rank"] > own["bound"]).to_numpy()
        mark = {"color": look["color"], "marker": "o", "linestyle": "", "label": "_"}
        ax.plot(x[~beyond], y[~beyond], **mark)
        ax.plot(x[beyond], y[beyond], **mark, markerfacecolor="white", zorder=4)
    ax.set_xscale("log")
    ax.set_yscale("log")
    style.log_axis(ax.xaxis, points["tucker_rank"].min(), points["tucker_rank"].max())
    style.log_axis(ax.yaxis, points["mean"].min(), points["mean"].max())

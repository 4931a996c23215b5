"""Draw what permuting the input costs each decomposition."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rankbench.analysis.figures import style
from rankbench.analysis.names import NAMES
from rankbench.analysis.stats.contrasts import NOT_SHOWN
from rankbench.analysis.summaries.budgets import metric_of
from rankbench.analysis.summaries.permutations import ORDERS, OWN, costs, means
from rankbench.analysis.summaries.rows import records

_LOOKS = {"own": ("#000000", "o"), "modes": ("#0072b2", "s"), "pixels": ("#d55e00", "D")}
_WORDS = {"own": "own order", "modes": "modes in another order", "pixels": "pixels in any order"}


def permutation(runs: pd.DataFrame) -> Figure:
    """Draw the metric for each order of the input (left) and the cost of permuting it (right).

    There is a row per decomposition. Bars on the left are 95% t intervals over seeds, on the right
    95% bootstrap intervals of differences paired by seed. Hollow marks show no difference.

    Args:
        runs: Rows of the `runs` table.

    Raises:
        ValueError: If no layer was run on its input in two orders.
    """
    metric, points = metric_of(runs), means(runs)
    if points.empty:
        raise ValueError("permutation: no layer was run on its input in two orders")
    families = [family for family in NAMES if family in set(points["family"])]
    with style.house():
        figure = style.new(8.8, 1.6 + 0.42 * len(families))
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=[1.3, 1])
        orders = [order for order in ORDERS if order in set(points["order"])]
        _marks(left, points, families, orders, "mean", ("low", "high"))
        differences = costs(runs)
        _marks(right, differences, families, orders, "difference", ("low", "high"))
        right.axvline(0, color="#555555", linewidth=0.9)
        left.set_yticks(range(len(families)), [NAMES[family] for family in families])
        left.invert_yaxis()
        style.name_axes(left, x=metric.name, y="")
        style.name_axes(right, x=f"change of {metric.name}", y="")
        style.legend_above(figure, _handles(orders), 3)
        style.caption(figure, [_note(points, differences)])
    return figure


def _marks(
    ax: Axes,
    points: pd.DataFrame,
    families: list[str],
    orders: list[str],
    column: str,
    ends: tuple[str, str],
) -> None:
    for row in records(points):
        shift = 0.22 * (orders.index(row["order"]) - (len(orders) - 1) / 2)
        y = families.index(row["family"]) + shift
        colour, marker = _LOOKS[row["order"]]
        face = "white" if row.get("verdict") == NOT_SHOWN else colour
        ax.hlines(y, row[ends[0]], row[ends[1]], color=colour, linewidth=1.1)
        ax.plot(row[column], y, marker, color=colour, markerfacecolor=face, zorder=3)


def _handles(orders: list[str]) -> list[Line2D]:
    looks = {order: _LOOKS[order] for order in orders}
    return [
        Line2D([], [], linestyle="", color=colour, marker=marker, label=_WORDS[order])
        for order, (colour, marker) in looks.items()
    ]


def _note(points: pd.DataFrame, differences: pd.DataFrame) -> str:
    sizes = points.loc[points["family"] != "dense", "num_params"]
    drawn = points.loc[points["order"] != OWN, "permutations"].max()
    return (
        f"{int(differences['seeds'].max())} seeds, {drawn} of each kind of permutation; "
        f"{sizes.min()} to {sizes.max()} parameters, dense {_dense(points)}; "
        "right: paired by seed with 95% bootstrap intervals, hollow: no difference shown (paired "
        "t test, Holm)"
    )


def _dense(points: pd.DataFrame) -> str:
    dense = points.loc[points["family"] == "dense", "num_params"]
    return "not run" if dense.empty else str(dense.iloc[0])

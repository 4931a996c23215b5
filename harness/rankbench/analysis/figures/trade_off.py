"""Draw a metric against the number of parameters, with the Pareto front."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rankbench.analysis.figures import style
from rankbench.analysis.metrics import LEARNED, METRICS, Metric
from rankbench.analysis.summaries import labels
from rankbench.analysis.summaries import objectives as asked
from rankbench.analysis.summaries.rows import (
    at_noise,
    condition,
    done,
    evenly,
    left_out,
    one_condition,
    records,
    seed_note,
)
from rankbench.analysis.tables import points as tables

FRONT_ROWS = 14
FEW = 12  # Up to this many points are all as large as those of the front.
FRONT_LOOK: dict[str, Any] = {"color": "#555555", "linewidth": 1.0, "linestyle": (0, (4, 2))}

_EDGED: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 0.4}
_HOLLOW: dict[str, Any] = {"markerfacecolor": "none"}


def trade_off(runs: pd.DataFrame) -> Figure:
    """Draw the metric against parameters, a mark per point, and draw and list the Pareto front.

    The metric is the first of LEARNED that was measured. Bars are 95% t intervals over seeds. Of
    several noise variances, only the one nearest to 0.05 is drawn. Points that violate a constraint
    of the newest run are hollow and never on the front.

    Args:
        runs: Rows of the `runs` table.

    Raises:
        ValueError: If no finished run has a metric, or the runs are not comparable.
    """
    metric = learned_metric(runs)
    finished = done(runs, "trade_off", "point_id", "num_params", metric.column)
    one_condition(finished, "trade_off")
    chosen = at_noise(finished)
    points = tables.summary(chosen, metric.column)
    front = tables.pareto(points, less_is_better=metric.less_is_better)
    with style.house():
        figure = style.new(8.8, 4.4)
        ax, side = figure.subplots(1, 2, width_ratios=[3, 1.7])
        listed = evenly(list(range(1, len(front) + 1)), FRONT_ROWS)
        _scatter(ax, points, front)
        _scales(ax, points, metric)
        _number(ax, front, listed, metric)
        title = style.sentence(condition(chosen))
        style.name_axes(ax, x="parameters of the input map", y=metric.name, title=title)
        _front_list(side, points, front, listed, metric)
        style.caption(figure, [seed_note(points), _beyond(points, runs), left_out(finished, runs)])
    return figure


def learned_metric(runs: pd.DataFrame) -> Metric:
    """Return the metric of a study of learning: RMSE, else top accuracy, else the bound in nats.

    Raises:
        ValueError: If no finished run has any of them.
    """
    finished = done(runs, "trade_off")
    for column in LEARNED:
        if column in finished.columns and finished[column].notna().any():
            return METRICS[column]
    raise ValueError(f"trade_off: no finished run has {' or '.join(LEARNED)}")


def _beyond(points: pd.DataFrame, runs: pd.DataFrame) -> str:
    """Describe how many points violate the constraints of the newest run."""
    bounds = ", ".join(map(str, asked.constraints(runs)))
    return f"hollow: {(~points['feasible']).sum()} points beyond {bounds}" if bounds else ""


def _scatter(ax: Axes, points: pd.DataFrame, front: pd.DataFrame) -> None:
    x, y = front["num_params"].astype(float), front["mean"].astype(float)
    ax.step(x, y, where="post", **FRONT_LOOK)
    leading = set((points if len(points) <= FEW else front)["point_id"])
    for row in records(points):
        leads = row["point_id"] in leading and row["feasible"]
        look = _EDGED if row["feasible"] else _HOLLOW
        reach = [[row["mean"] - row["low"]], [row["high"] - row["mean"]]]
        ax.errorbar(
            float(row["num_params"]),
            row["mean"],
            yerr=np.nan_to_num(reach) if leads else None,
            elinewidth=0.8,
            alpha=1.0 if leads else 0.5,
            zorder=3 if leads else 2,
            **style.mark(row["family"], 7 if leads else 4.5),
            **look,
        )


def _number(ax: Axes, front: pd.DataFrame, listed: list[int], metric: Metric) -> None:
    """Number the listed points of the front on its empty side, if there is room."""
    below, rows, away = metric.less_is_better, records(front), style.points(5)
    to_axes = ax.transData + ax.transAxes.inverted()
    taken: list[tuple[float, float]] = []
    for number in listed:
        row = rows[number - 1]
        at = (float(row["num_params"]), row["mean"])
        x, y = to_axes.transform(at)
        if all(abs(x - u) > 0.035 or abs(y - v) > 0.04 for u, v in taken):
            taken.append((x, y))
            ax.annotate(
                str(number),
                at,
                xytext=(-away, -away if below else away),
                textcoords="offset points",
                ha="right",
                va="top" if below else "bottom",
                fontsize=style.SMALL,
                zorder=4,
            )


def _scales(ax: Axes, points: pd.DataFrame, metric: Metric) -> None:
    ax.set_xscale("log")
    ax.margins(x=0.08, y=0.1)
    sizes = points["num_params"].astype(float)
    style.log_axis(ax.xaxis, sizes.min(), sizes.max())
    if metric.less_is_better and style.spans_decades(points["mean"]):
        low, high = points["mean"].min(), points[["mean", "high"]].max().max()
        ax.set_yscale("log")
        ax.set_ylim(low / 1.8, high * 1.4)
        style.log_axis(ax.yaxis, low, high)
    ax.autoscale_view()


def _front_list(
    side: Axes, points: pd.DataFrame, front: pd.DataFrame, listed: list[int], metric: Metric
) -> None:
    """Draw the legend and list the numbered points of the front, right of the axes."""
    side.set_axis_off()
    handles = style.family_handles(list(points["family"]))
    handles.append(Line2D([], [], label="Pareto front", **FRONT_LOOK))
    side.legend(handles=handles, loc="upper left", ncols=2, borderaxespad=0.0)
    rows = [(number, records(front)[number - 1]) for number in listed]
    width = max(12, *(len(_cut(row["label"])) for _, row in rows))
    lines = [f"    {'Pareto front':<{width}}  {'P':>6}  {metric.short}"]
    for number, row in rows:
        size, mean = labels.count(row["num_params"]), labels.value(row["mean"])
        lines.append(f"{number:>2}  {_cut(row['label']):<{width}}  {size:>6}  {mean}")
    if len(rows) < len(front):
        lines.append(f"    {len(rows)} of {len(front)} listed")
    top = 0.94 - 0.065 * math.ceil(len(handles) / 2)
    style.listing(side, top, lines)


def _cut(label: str, longest: int = 30) -> str:
    return label if len(label) <= longest else label[: longest - 1] + "…"

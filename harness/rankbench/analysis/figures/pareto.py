"""Draw the Pareto front of a search with several objectives, and its infeasible points."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rankbench.analysis.figures import style
from rankbench.analysis.figures.trade_off import FRONT_LOOK
from rankbench.analysis.stats.pareto import costs_of, dominated_share, front
from rankbench.analysis.summaries import labels
from rankbench.analysis.summaries import objectives as asked
from rankbench.analysis.summaries.rows import done, evenly, left_out, one_condition, records
from rankbench.common.text import metric
from rankbench.study.bounds import Bound

_NAMES = {
    "num_params": "parameters of the input map",
    "step_ms": "training step (ms)",
    "forward_ms": "forward pass (ms)",
    "accuracy": "test accuracy",
    "rmse": "RMSE of W",
    "top_accuracy": "top test accuracy",
}
_LISTED = 12
_FAINT = 0.3


def pareto(runs: pd.DataFrame) -> Figure:
    """Draw the first objective against each of the others, with the front over all of them.

    A mark is a point, averaged over seeds: large on the front, faint if dominated, hollow if it
    violates a constraint. Steps show the front in the two objectives of a panel. Objectives and
    constraints are those of the newest run.

    Args:
        runs: Rows of the `runs` table.

    Raises:
        ValueError: If no finished run has several objectives, or the runs are not comparable.
    """
    objectives, constraints = asked.objectives(runs)
    finished = done(runs, "pareto", "point_id", *objectives)
    one_condition(finished, "pareto")
    points = judged(finished, objectives, constraints)
    first, *others = objectives
    with style.house():
        figure = style.new(1.2 + 3.6 * len(others) + 2.6, 4.4)
        *axes, side = figure.subplots(
            1, len(others) + 1, width_ratios=[3] * len(others) + [2.4], squeeze=False
        )[0]
        for ax, other in zip(axes, others, strict=True):
            _panel(ax, points, {other: objectives[other], first: objectives[first]})
            for bound in constraints:
                _border(ax, bound, other, first)
        _list(side, points, objectives)
        style.caption(figure, [_note(points, objectives, constraints), left_out(finished, runs)])
    return figure


def judged(
    finished: pd.DataFrame, objectives: dict[str, str], constraints: tuple[Bound, ...]
) -> pd.DataFrame:
    """Average the objectives over seeds and find the front.

    Args:
        finished: Finished runs.
        objectives: Column -> direction ("minimize" or "maximize").
        constraints: Bounds that a feasible point satisfies.

    Returns:
        One row per point, with `feasible` and `leads` (whether it is on the front). Points on the
        front come first, best first by the first objective.
    """
    columns = list(dict.fromkeys([*objectives, *(b.column for b in constraints)]))
    groups = finished.groupby("point_id", sort=False)
    points = groups[columns].mean().astype(float)
    points["family"] = groups["family"].first()
    points["label"] = points.index.map(labels.points(finished))
    points["feasible"], points["leads"] = asked.feasible(points, constraints), False
    feasible = points[points["feasible"]]
    costs = costs_of(feasible[list(objectives)].to_numpy(), list(objectives.values()))
    if len(feasible):
        points.loc[feasible.index[front(costs)], "leads"] = True
    first, direction = next(iter(objectives.items()))
    return points.sort_values(
        ["leads", first], ascending=[False, direction == "minimize"], kind="stable"
    )


def _panel(ax: Axes, points: pd.DataFrame, objectives: dict[str, str]) -> None:
    """Draw two objectives, x and y, with the front in these two as steps."""
    (x, _), (y, direction) = objectives.items()
    feasible = points[points["feasible"]]
    if len(feasible):
        costs = costs_of(feasible[[x, y]].to_numpy(), list(objectives.values()))
        line = feasible.iloc[front(costs)].sort_values(x)
        rises = objectives[x] == "minimize"
        ax.step(line[x], line[y], where="post" if rises else "pre", zorder=1, **FRONT_LOOK)
    for row in records(points):
        ax.plot(row[x], row[y], **look(row))
    for axis, column, scale in ((ax.xaxis, x, ax.set_xscale), (ax.yaxis, y, ax.set_yscale)):
        if style.spans_decades(points[column], 8.0):
            scale("log")
            style.log_axis(axis, points[column].min(), points[column].max())
    ax.margins(x=0.06, y=0.08)
    title = "more is better" if direction == "maximize" else "less is better"
    style.name_axes(ax, x=_named(x), y=_named(y), title=f"{style.sentence(_short(y))}: {title}")


def look(row: dict[str, Any]) -> dict[str, Any]:
    """Return the properties of a point's mark: large, faint or hollow."""
    mark = style.mark(row["family"], 7 if row["leads"] else 4.5)
    strong = {"markeredgecolor": "white", "markeredgewidth": 0.4, "linestyle": ""}
    if row["leads"]:
        return {**mark, **strong, "zorder": 4}
    if row["feasible"]:
        return {**mark, **strong, "alpha": _FAINT, "zorder": 2}
    return {**mark, "linestyle": "", "markerfacecolor": "none", "alpha": 0.6, "zorder": 3}


def _border(ax: Axes, bound: Bound, x: str, y: str) -> None:
    """Draw the limits of a constraint on an objective of the panel."""
    dots: dict[str, Any] = {"color": "#aa3333", "linewidth": 1.0, "linestyle": ":", "zorder": 1}
    for end in bound.plain().values():
        if bound.column == x:
            ax.axvline(end, **dots)
        elif bound.column == y:
            ax.axhline(end, **dots)


def _list(side: Axes, points: pd.DataFrame, objectives: dict[str, str]) -> None:
    """Draw the legend and list the points of the front, right of the panels."""
    side.set_axis_off()
    handles = style.family_handles(list(points["family"]))
    handles.append(Line2D([], [], label="front of the panel", **FRONT_LOOK))
    side.legend(handles=handles, loc="upper left", ncols=2, borderaxespad=0.0)
    leading = records(points[points["leads"]])
    shown = evenly(leading, _LISTED)
    heads = [_short(column) for column in objectives]
    cells = [[_cell(row[column]) for column in objectives] for row in shown]
    width = max([12, *(len(row["label"]) for row in shown)])
    wide = [max([len(head), *map(len, col)]) for head, *col in zip(heads, *cells, strict=True)]
    lines = [_line("on the front", width, heads, wide)]
    lines += [
        _line(row["label"], width, cell, wide) for row, cell in zip(shown, cells, strict=True)
    ]
    if len(shown) < len(leading):
        lines.append(f"{len(shown)} of {len(leading)} listed")
    top = 0.92 - 0.065 * -(-len(handles) // 2)
    style.listing(side, top, lines)


def _line(name: str, width: int, cells: list[str], wide: list[int]) -> str:
    numbers = "  ".join(f"{cell:>{size}}" for cell, size in zip(cells, wide, strict=True))
    return f"{name:<{width}}  {numbers}"


def _note(points: pd.DataFrame, objectives: dict[str, str], constraints: tuple[Bound, ...]) -> str:
    feasible = points[points["feasible"]]
    leading, broken = int(points["leads"].sum()), int((~points["feasible"]).sum())
    words = [f"{leading} points on the front (large)"]
    words.append(f"{len(feasible) - leading} dominated (faint)")
    if constraints:
        words.append(f"{broken} beyond {', '.join(map(str, constraints))} (hollow)")
    if len(feasible):
        costs = costs_of(feasible[list(objectives)].to_numpy(), list(objectives.values()))
        words.append(f"the front dominates {dominated_share(costs):.0%} of the feasible range")
    return ", ".join(words)


def _named(column: str) -> str:
    return _NAMES.get(column, column.replace("_", " "))


def _short(column: str) -> str:
    return {"num_params": "P", "step_ms": "ms", "accuracy": "accuracy"}.get(column, column)


def _cell(value: float) -> str:
    whole = np.isclose(value, round(value)) and abs(value) >= 10
    return labels.count(value) if whole else metric(float(f"{value:.3g}"))

"""Draw the costs of a sweep against one variable at a time, with the papers' claims."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from rankbench.analysis.figures import style
from rankbench.analysis.names import NAMES
from rankbench.analysis.stats.exponents import CANNOT_TELL, LOOSER
from rankbench.analysis.summaries.complexity import (
    DIRECTIONS,
    METHODS,
    QUANTITIES,
    VARIABLES,
    exponents,
    rounded,
    swept,
    with_claims,
)
from rankbench.analysis.summaries.rows import Row, records

PLANS: dict[str, tuple[str, float]] = {"auto": ("#0072b2", 3.0), "paper": ("#d55e00", 4.0)}
_MARKERS: dict[str, dict[str, Any]] = {
    "forward": {"marker": "o"},
    "backward": {"marker": "s", "markerfacecolor": "white", "markeredgewidth": 0.9},
}
_CLAIMS: dict[str, Any] = {"forward": (0, (4, 2)), "backward": (0, (1, 1.5))}
_SHOWN = {LOOSER: "looser", CANNOT_TELL: "?"}


def complexity(runs: pd.DataFrame, samples: pd.DataFrame, quantity: str) -> Figure:
    """Draw a cost against each swept variable: points, fits, and the claims as reference slopes.

    There is a row of panels per decomposition and a column per variable; both axes are logarithmic.
    A solid line is the fit, over the points that were fitted. A claim is scaled to these points of
    the papers' contraction order.

    Args:
        runs: Rows of the `runs` table.
        samples: Rows of the `samples` table.
        quantity: A key of QUANTITIES.

    Raises:
        ValueError: If no finished run belongs to a sweep.
    """
    points, found = swept(runs, samples), exponents(runs, samples, [quantity])
    methods = [kind for kind in METHODS if kind in set(found["decomposition"])]
    variables = [name for name in VARIABLES if name in set(found["sweep"])]
    with style.house():
        figure = style.new(1.1 + 2.15 * len(variables), 1.0 + 2.0 * len(methods))
        axes = figure.subplots(len(methods), len(variables), squeeze=False)
        for line, kind in zip(axes, methods, strict=True):
            for ax, variable in zip(line, variables, strict=True):
                own = found[(found["decomposition"] == kind) & (found["sweep"] == variable)]
                if own.empty:
                    ax.set_axis_off()
                    continue
                here = points[(points["decomposition"] == kind) & (points["sweep"] == variable)]
                _panel(ax, here, own, quantity)
                style.log_axis(ax.xaxis, here["swept"].min(), here["swept"].max())
                # Minor ticks would take most of the drawing time.
                for axis in (ax.xaxis, ax.yaxis):
                    axis.set_minor_locator(NullLocator())
                ax.set_xlabel(variable)
            line[0].set_ylabel(f"{NAMES[kind]}\n{QUANTITIES[quantity].unit}")
        style.legend_above(figure, _handles(), 8)
        style.caption(figure, [_meaning(quantity)])
    return figure


def _panel(ax: Axes, points: pd.DataFrame, found: pd.DataFrame, quantity: str) -> None:
    ax.set_xscale("log")
    ax.set_yscale("log")
    words = []
    for row in records(found):
        own = points[points["plan"] == row["plan"]]
        _draw(ax, own, row, quantity)
        if row["plan"] == "paper":
            shown = _SHOWN.get(row["verdict"], row["verdict"])
            words.append(f"{row['direction'][0].upper()} {_exponents(row)} {shown}")
    ax.set_title("\n".join(words), fontsize=style.SMALL)
    ax.tick_params(labelsize="x-small")


def _exponents(row: Row) -> str:
    if math.isnan(row["exponent"]):
        return f"{rounded(row['claimed'])} → -"
    return f"{rounded(row['claimed'])} → {rounded(row['exponent'])}"


def _draw(ax: Axes, points: pd.DataFrame, row: Row, quantity: str) -> None:
    direction, (colour, size) = row["direction"], PLANS[row["plan"]]
    x = points["swept"].to_numpy(float)
    y = points[QUANTITIES[quantity].columns[direction]].to_numpy(float)
    joined = "-" if row["sweep"] == "d" else ""  # In d the costs follow no power law.
    look: dict[str, Any] = {
        "color": colour,
        "markersize": style.points(size),
        "linestyle": joined,
        "linewidth": 0.7,
    }
    look |= _MARKERS[direction]
    ax.plot(x, np.where(y > 0, y, np.nan), zorder=3, **look)
    tail = (x >= row["start"]) & (y > 0)
    if not math.isnan(row["exponent"]) and not joined:
        ends = np.array([x[tail].min(), x[tail].max()])
        fitted = np.exp(row["intercept"]) * ends ** row["exponent"]
        ax.plot(ends, fitted, color=colour, linewidth=1.0, alpha=0.7, zorder=2)
    if row["plan"] == "paper" and tail.any():
        claim = with_claims(points, direction, QUANTITIES[quantity].claim).to_numpy()
        scale = np.exp(np.mean(np.log(y[tail] / claim[tail])))
        known = y > 0
        dashes = {"linestyle": _CLAIMS[direction], "color": "#555555", "linewidth": 1.1}
        ax.plot(x[known], scale * claim[known], zorder=1, **dashes)


def _handles() -> list[Line2D]:
    marks = [
        Line2D([], [], linestyle="", color=colour, label=f"{direction}, plan {plan}", **look)
        for plan, (colour, _) in reversed(PLANS.items())
        for direction, look in _MARKERS.items()
    ]
    dashes = [
        Line2D([], [], linestyle=_CLAIMS[direction], color="#555555", label=f"claimed, {direction}")
        for direction in DIRECTIONS
    ]
    return [*marks, *dashes]


def _meaning(quantity: str) -> str:
    how = {
        "flops": "FLOPs by the plan, the same by torch's counter",
        "time": "medians of processor time of one thread",
        "tensor": "elements of the largest tensor or gradient",
        "peak": "peak of tensor bytes; rows go through in chunks or tiles, which bounds it",
    }[quantity]
    return (
        f"{how}; F, B: exponent claimed → found for the papers' order, forward and backward, and "
        "the verdict on the claim; lines: fits, from where measured / claimed is one power law; "
        "claims are scaled to the points there"
    )

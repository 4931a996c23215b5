"""Draw a mark for every claim of the ledger by its verdict: published against measured."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rankbench.analysis.figures import style
from rankbench.analysis.names import (
    CONTRADICTED,
    NOT_COMPARABLE,
    NOT_MEASURED,
    NOT_REPRODUCED,
    REPRODUCED,
    VERDICTS,
)
from rankbench.analysis.summaries.accuracy import TOP
from rankbench.analysis.summaries.rows import records

LOOKS: dict[str, dict[str, Any]] = {
    REPRODUCED: {"color": "#009e73", "marker": "o"},
    NOT_REPRODUCED: {"color": "#d55e00", "marker": "X"},
    CONTRADICTED: {"color": "#000000", "marker": "D"},
    NOT_COMPARABLE: {"color": "#56b4e9", "marker": "s"},
    NOT_MEASURED: {"color": "#9a9a9a", "marker": "o", "markerfacecolor": "white"},
}
FAR = 1.25  # Numbers that are off by more than this factor are labelled.
# Effects, in standard deviations, are clipped to this range.
_LEAST, _MOST = 0.1, 1e4


def claims(verdicts: pd.DataFrame) -> Figure:
    """Draw all claims by source and verdict, numbers as measured / published, orders as effects.

    An effect is a mean difference divided by its standard deviation over seeds. It points to the
    right if it has the claimed sign.

    Args:
        verdicts: Rows of the claims table (see `analysis.claims`).

    Raises:
        ValueError: If there are no claims.
    """
    if verdicts.empty:
        raise ValueError("claims: there are no claims to draw")
    orders = verdicts[verdicts["effect"].notna() & ~verdicts["order"].str.contains("=")]
    both = verdicts[verdicts["ours"].notna() & verdicts["published_value"].notna()]
    accuracy = both["column"] == TOP
    with style.house():
        figure = style.new(10.4, 10.4)
        grid = figure.add_gridspec(3, 2, height_ratios=(1.5, 1, 1))
        _every(figure.add_subplot(grid[0, 0]), verdicts)
        _accuracies(figure.add_subplot(grid[1, 0]), both[accuracy])
        _numbers(figure.add_subplot(grid[2, 0]), both[~accuracy])
        _orders(figure.add_subplot(grid[:, 1]), orders)
        style.legend_above(figure, _handles(verdicts), len(VERDICTS))
        style.caption(
            figure,
            [
                f"{len(verdicts)} claims",
                "bars: 95% interval",
                "orders: paired over seeds, p by Holm at most 0.05 for reproduced",
            ],
        )
    return figure


def _handles(verdicts: pd.DataFrame) -> list[Line2D]:
    found = verdicts["verdict"].value_counts()
    return [
        Line2D([], [], linestyle="", label=f"{verdict} ({found[verdict]})", **LOOKS[verdict])
        for verdict in VERDICTS
        if verdict in found
    ]


def _every(ax: Axes, verdicts: pd.DataFrame) -> None:
    """Draw a row of marks for every place in a paper."""
    places = list(dict.fromkeys(verdicts["source"]))
    for height, place in enumerate(places):
        here = verdicts.loc[verdicts["source"] == place, "verdict"]
        for x, verdict in enumerate(sorted(here, key=VERDICTS.index)):
            look = {"markersize": style.points(5.5), **LOOKS[verdict]}
            ax.plot([x + 1], [height], linestyle="", **look)
    ax.set_yticks(range(len(places)), places)
    ax.set_ylim(len(places) - 0.4, -0.6)
    ax.set_xlim(left=0)
    ax.grid(visible=False)
    style.name_axes(ax, x="claims", y="", title="Every claim, by where it stands")


def _accuracies(ax: Axes, both: pd.DataFrame) -> None:
    """Draw measured against published top accuracies; equal ones are on the diagonal."""
    ax.plot([0.5, 1], [0.5, 1], color="#555555", lw=0.8, zorder=1)
    for row in records(both):
        x, look = row["published_value"], LOOKS[row["verdict"]]
        ax.plot([x, x], [row["low"], row["high"]], color=look["color"], lw=1.2, alpha=0.6, zorder=2)
        ax.plot([x], [row["ours"]], linestyle="", zorder=3, **look)
    title = f"Top accuracies ({len(both)} measured)"
    style.name_axes(ax, x="published", y="measured", title=title)


def _numbers(ax: Axes, both: pd.DataFrame) -> None:
    """Draw measured / published for every other number."""
    ax.axhline(1, color="#555555", lw=0.8, zorder=1)
    for place, row in enumerate(records(both)):
        x, look = row["published_value"], LOOKS[row["verdict"]]
        share = row["ours"] / x
        if not math.isnan(row["low"]):
            ends = [max(row["low"], 1e-9) / x, row["high"] / x]
            ax.plot([x, x], ends, color=look["color"], lw=1.2, alpha=0.8, zorder=2)
        ax.plot([x], [share], linestyle="", zorder=3, **look)
        if max(share, 1 / share) > FAR:
            beside: dict[str, Any] = {"xytext": (style.points(6), 0), "textcoords": "offset points"}
            beside["va"] = ("bottom", "top")[place % 2]
            ax.annotate(row["id"], (x, share), fontsize=style.SMALL, **beside)
    ax.set_xscale("log")
    ax.set_yscale("log")
    style.log_axis(ax.yaxis, 0.01, 10)
    title = f"Other numbers ({len(both)} worked out or measured)"
    style.name_axes(ax, x="published value", y="measured / published", title=title)


def _orders(ax: Axes, orders: pd.DataFrame) -> None:
    """Draw the effect of every tested order, to the right if it is as claimed."""
    for height, row in enumerate(records(orders)):
        sign = -1 if "<" in row["order"] else 1
        size = float(np.clip(abs(row["effect"]), _LEAST, _MOST))
        towards = sign * math.copysign(size, row["ours"])
        look = LOOKS[row["verdict"]]
        ax.plot([0, towards], [height, height], color=look["color"], lw=1.0, alpha=0.5, zorder=1)
        ax.plot([towards], [height], linestyle="", zorder=2, **look)
    ax.axvline(0, color="#555555", lw=0.8)
    ax.set_xscale("symlog", linthresh=1)
    ax.set_xlim(-_MOST, _MOST)
    ax.set_xticks([-1000, -10, -1, 0, 1, 10, 1000], ["1000", "10", "1", "0", "1", "10", "1000"])
    names = [f"{row['id']}: {row['order']}" for row in records(orders)]
    ax.set_yticks(range(len(names)), names, fontsize=style.SMALL)
    ax.set_ylim(len(names) - 0.4, -0.6)
    label = (
        "the other way round    |    as claimed\nmean difference / standard deviation over seeds"
    )
    style.name_axes(ax, x=label, y="", title="Orders")

"""Draw parameter counts against core order (BT Fig. 5)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from rankbench.analysis.figures import style
from rankbench.analysis.names import NAMES
from rankbench.analysis.summaries import labels
from rankbench.analysis.summaries.rows import done, evenly, left_out, records

PANEL_LINES = 8
COUNTED = ("core_order", "num_params", "dense_params")


def parameters(runs: pd.DataFrame) -> Figure:
    """Draw parameters against core order d, a line per ranks and a panel per decomposition.

    The dotted line is the dense count I * J. A ring marks the fewest parameters of a line with at
    least three core orders.

    Args:
        runs: Rows of the `runs` table.

    Raises:
        ValueError: If no decomposition was counted at several core orders with the same ranks.
    """
    finished = done(runs, "parameters", *COUNTED)
    counted = _counted(finished)
    panels = _panels(counted)
    if not panels:
        raise ValueError("parameters: no decomposition with fixed ranks has two core orders")
    with style.house():
        columns = min(len(panels), 2)
        lines = math.ceil(len(panels) / columns)
        width, height = (6.6, 3.6) if len(panels) == 1 else (5.0 * columns, 3.1 * lines)
        figure = style.new(width, height)
        axes = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for ax, (title, rows) in zip(axes, panels.items(), strict=False):
            _parameter_panel(ax, title, rows)
        for ax in axes[len(panels) :]:
            ax.remove()
        rings = any(_has_ring(ax) for ax in figure.axes)
        note = "rings: fewest parameters of each line" if rings else ""
        style.caption(figure, [note, left_out(finished, runs)])
    return figure


def _has_ring(ax: Axes) -> bool:
    return any(line.get_label() == "_least" for line in ax.get_lines())


def has_core_orders(runs: pd.DataFrame) -> bool:
    """Return whether any decomposition was counted at two core orders with the same ranks."""
    try:
        return bool(_panels(_counted(done(runs, "parameters", *COUNTED))))
    except ValueError:
        return False


def _counted(finished: pd.DataFrame) -> pd.DataFrame:
    """Keep the fewest parameters for each decomposition, ranks, core order and size."""
    counted = finished.copy()
    counted["ranks_text"] = [labels.ranks(row) for row in records(counted)]
    key = ["decomposition", "ranks_text", "core_order", "in_features", "out_features"]
    return counted.sort_values(["core_order", "num_params"], kind="stable").drop_duplicates(key)


def _panels(counted: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the rows of each decomposition and size that has a line of two core orders."""
    panels = {}
    for kind, own_name in NAMES.items():
        rows = counted[counted["decomposition"] == kind]
        for (i, j), group in rows.groupby(["in_features", "out_features"]):
            orders = group.groupby("ranks_text")["core_order"].transform("nunique")
            if kind != "dense" and (orders > 1).any():
                panels[f"{own_name}, I={i}, J={j}"] = group[orders > 1]
    return panels


def _parameter_panel(ax: Axes, title: str, rows: pd.DataFrame) -> None:
    colour = style.COLOURS[str(rows["decomposition"].iloc[0])]
    counts = rows.assign(log=np.log(rows["num_params"].astype(float)))
    heights = counts.groupby("ranks_text")["log"].mean()
    every = [str(ranks) for ranks in heights.sort_values().index]
    drawn = evenly(every, PANEL_LINES)
    dense = int(rows["dense_params"].iloc[0])
    ax.axhline(dense, color="black", linestyle=":", linewidth=1.2, label=f"dense {dense}")
    for step, ranks in reversed(list(enumerate(drawn))):
        line = rows[rows["ranks_text"] == ranks]
        x, y = line["core_order"].astype(float), line["num_params"].astype(float)
        look = style.line_look(colour, step, len(drawn))
        ax.plot(x, y, label=ranks, marker="o", markersize=style.points(3), **look)
        if len(line) > 2:
            least = y.idxmin()
            ring: dict[str, Any] = {"marker": "o", "markerfacecolor": "none", "linestyle": ""}
            ring |= {"markersize": style.points(8), "color": look["color"]}
            ax.plot(x[least], y[least], label="_least", **ring)
    ax.set_yscale("log")
    ax.xaxis.set_major_locator(MultipleLocator(1))
    ax.tick_params(labelbottom=True)
    style.name_axes(ax, x="core order d", y="parameters", title=title)
    cut = f"{len(drawn)} of {len(every)} ranks" if len(drawn) < len(every) else None
    ax.legend(title=cut, loc="upper left", bbox_to_anchor=(1.0, 1.0))

"""Draw the time of a training step against parameters, for Rankbench's layers and their peers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rankbench.analysis.figures import style
from rankbench.analysis.summaries.rows import done, left_out, records
from rankbench.bench.contenders import CONTENDERS, OURS, SAME

# Colour and marker of each contender; those of one package share a colour. Where marks overlap, the
# larger one is drawn first.
LOOKS: dict[str, tuple[str, str]] = {
    OURS: ("#d55e00", "o"),
    "tednet": ("#0072b2", "s"),
    "tednet-map": ("#0072b2", "D"),
    "tensorly-torch": ("#009e73", "^"),
    "tensorly-torch-dense": ("#009e73", "v"),
    "tensorly-torch-tucker": ("#009e73", "P"),
    "tensorly-torch-cp": ("#009e73", "X"),
    "torchTT": ("#cc79a7", "s"),
    "torch": ("#000000", "s"),
    "sequential": ("#e69f00", "^"),
}
FLOOR: dict[str, Any] = {"color": "#777777", "marker": "_", "linestyle": ""}
SIZES = {OURS: 10.0, "tednet": 7.5, "tensorly-torch": 6.5, "torchTT": 6.5}
_SMALL = 5.0
_NAME: dict[str, Any] = {
    "xytext": (0, 7),
    "textcoords": "offset points",
    "rotation": 90,
    "ha": "center",
    "va": "bottom",
    "fontsize": style.SMALL,
}
_GAP = 0.022  # The smallest distance between two maps, as a share of the width.


def time_vs_parameters(runs: pd.DataFrame) -> Figure:
    """Draw the median time of a training step against parameters, a mark per contender and map.

    A panel holds the runs with one dtype and number of rows and threads. Hollow marks are
    contenders that compute a different map; a dash is the floor of a map. The contenders for a map
    share its x position, the number of parameters of Rankbench's layer.

    Args:
        runs: Rows of the `runs` table.

    Raises:
        ValueError: If no finished run belongs to a contender.
    """
    columns = ("contender", "input_map", "num_params", "step_ms")
    finished = done(runs, "time_vs_parameters", *columns)
    ordered = finished.sort_values(["dtype", "rows", "threads"], ascending=[False, True, True])
    panels = list(ordered.groupby(["dtype", "rows", "threads"], sort=False))
    across = min(2, len(panels))
    down = -(-len(panels) // across)
    with style.house():
        figure = style.new(1.0 + 5.6 * across, 1.3 + 3.7 * down)
        axes = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).ravel()
        places = _places(finished)
        for ax, (facts, rows) in zip(axes, panels, strict=False):
            _panel(ax, rows, places)
            dtype, count, threads = facts
            title = f"{count} rows, {dtype}, {threads} thread" + "s" * (threads != 1)
            style.name_axes(ax, x="parameters of the map", y="training step (ms)", title=title)
            ax.label_outer()
        axes[0].set_ylim(top=8 * max(finished[["step_ms", "step_floor_ms"]].max()))
        for ax in axes[len(panels) :]:
            ax.set_axis_off()
        style.legend_above(figure, _legend(finished), 2 + across)
        style.caption(figure, [_note(finished), left_out(finished, runs)])
    return figure


def _panel(ax: Axes, rows: pd.DataFrame, places: dict[str, float]) -> None:
    ax.set_xscale("log")
    ax.set_yscale("log")
    for name, group in rows.groupby("input_map"):
        x, steps = places[str(name)], group["step_ms"].astype(float)
        floor = group["step_floor_ms"].dropna().astype(float)
        ends = [min([*steps, *floor]), max([*steps, *floor])]
        ax.plot([x, x], ends, color="#d5d5d5", linewidth=0.8, zorder=1)
        if len(floor):
            ax.plot(x, floor.median(), zorder=2, **_floor())
        for row in records(group):
            ax.plot(x, row["step_ms"], **_mark(row["contender"], row["computes"]))
        ax.annotate(str(name), (x, ends[1]), **_NAME)


def _floor() -> dict[str, Any]:
    return {**FLOOR, "markersize": style.points(11)}


def _mark(contender: str, computes: str) -> dict[str, Any]:
    colour, marker = LOOKS.get(contender, ("#7a7a7a", "d"))
    size = SIZES.get(contender, _SMALL)
    return {
        "marker": marker,
        "markersize": style.points(size),
        "zorder": 3 + 1 / size,
        "markeredgecolor": "white" if computes == SAME else colour,
        "markeredgewidth": 0.6,
        "markerfacecolor": colour if computes == SAME else "white",
        "linestyle": "",
    }


def _places(rows: pd.DataFrame) -> dict[str, float]:
    """Return the x position of each map: its number of parameters, with close ones moved apart."""
    same = rows[rows["computes"] == SAME]
    sizes = same.groupby("input_map")["num_params"].first().astype(float).sort_values()
    logs = np.log10(sizes.to_numpy())
    gap = _GAP * max(logs[-1] - logs[0], 0.5)
    for _ in range(50):
        lack = np.maximum(0.0, gap - np.diff(logs)) / 2
        logs = logs - np.append(lack, 0.0) + np.insert(lack, 0, 0.0)
    return {str(name): float(10**log) for name, log in zip(sizes.index, logs, strict=True)}


def _legend(rows: pd.DataFrame) -> list[Line2D]:
    found = dict(zip(rows["contender"], rows["computes"], strict=True))
    named = {name: c.title for name, c in CONTENDERS.items() if name in found}
    handles = [Line2D([], [], label=title, **_mark(n, found[n])) for n, title in named.items()]
    return [*handles, Line2D([], [], label="floor of the map", **_floor())]


def _note(rows: pd.DataFrame) -> str:
    hollow = bool((rows["computes"] != SAME).any())
    return "medians; maps of about the same size stand side by side" + (
        "; hollow: computes another map" * hollow
    )

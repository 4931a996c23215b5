"""Draw the epochs to an accuracy, beside the published 16 and 230 (BT Sec. 4.2)."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from rankbench.analysis.figures import style
from rankbench.analysis.published import PUBLISHED_RESULTS
from rankbench.analysis.summaries.accuracy import classified
from rankbench.analysis.summaries.comparisons import published_data, published_model
from rankbench.analysis.summaries.convergence import (
    LEVELS,
    PUBLISHED_LEVEL,
    column_of,
    convergence,
    with_epochs_to,
)
from rankbench.analysis.summaries.models import condition_order, in_common
from rankbench.analysis.summaries.rows import evenly, left_out, records

PANELS = 4
# Levels from low to high, pale ones first, so that overlapping marks remain visible.
SHAPES = {0.6: "o", 0.7: "s", 0.8: "D", 0.9: "^"}


def epochs_to_accuracy(runs: pd.DataFrame, epochs: pd.DataFrame) -> Figure:
    """Draw the first epoch at 0.60, 0.70, 0.80 and 0.90, with a panel per condition.

    Marks are means over the runs that reached the level, bars their 95% t intervals. If not all
    runs did, a fraction beside the mark says how many. Hollow marks are the published 16 and 230
    epochs to 0.60.

    Args:
        runs: Rows of the `runs` table.
        epochs: Rows of the `epochs` table.

    Raises:
        ValueError: If no finished run classifies clips, or none reaches 0.60.
    """
    kept = classified(runs, "epochs_to_accuracy")
    table = convergence(kept, epochs)
    if not table["reached"].any():
        raise ValueError("epochs_to_accuracy: no run reaches an accuracy of 0.60")
    reached = table.groupby("condition")["reached"].sum()
    places = [place for place in condition_order(table["condition"]) if reached[place]]
    nowhere = [place for place in condition_order(table["condition"]) if not reached[place]]
    models = list(dict.fromkeys(table["model"]))
    published = _published(kept)
    with style.house():
        shown = evenly(places, PANELS)
        figure = style.new(2.6 + 3.2 * len(shown), 1.6 + 0.36 * len(models))
        axes = figure.subplots(1, len(shown), squeeze=False, sharey=True)[0]
        for ax, place in zip(axes, shown, strict=True):
            _panel(ax, table[table["condition"] == place], models, published)
            ax.set_title(f"{place} split")
        axes[0].set_yticks(range(len(models)), models)
        axes[0].set_ylim(len(models) - 0.5, -0.5)
        style.legend_above(figure, _handles(bool(published)), 5)
        notes = [_note(table), f"never 0.60: {', '.join(nowhere)} split" if nowhere else ""]
        style.caption(figure, [*notes, in_common(kept), left_out(kept, runs)])
    return figure


def _published(kept: pd.DataFrame) -> dict[str, float]:
    """Return the published epochs to 0.60 by the label of a model.

    BT states the epochs of BT-LSTM without its rank, so they apply to every rank.
    """
    metric = column_of(PUBLISHED_LEVEL)
    said = {r.model: r.value for r in PUBLISHED_RESULTS if r.metric == metric}
    found = {}
    for row in records(kept.drop_duplicates("model")):
        name = published_model(row).partition(" R=")[0]
        if published_data(row) == "ucf11" and name in said:
            found[str(row["model"])] = said[name]
    return found


def _colours() -> dict[float, Any]:
    scale = mpl.colormaps[style.PICTURE]
    return {level: scale(0.78 - 0.26 * number) for number, level in enumerate(SHAPES)}


def _panel(ax: Axes, rows: pd.DataFrame, models: list[str], published: dict[str, float]) -> None:
    colours = _colours()
    for row in records(rows):
        y = models.index(row["model"])
        ax.axhline(y + 0.5, color="#e3e3e3", lw=0.6, zorder=0)
        if not row["reached"]:
            continue
        colour = colours[row["level"]]
        if row["reached"] > 1:
            ax.plot([max(0.8, row["low"]), row["high"]], [y, y], color=colour, lw=2.2, alpha=0.7)
        mark = {"color": colour, "marker": SHAPES[row["level"]], "markersize": style.points(6)}
        ax.plot([row["mean"]], [y], markeredgecolor="white", mew=0.5, zorder=3, **mark)
        if row["reached"] < row["runs"]:
            share = f"{row['reached']}/{row['runs']}"
            ax.annotate(
                share,
                (row["mean"], y),
                xytext=(0, style.points(5)),
                textcoords="offset points",
                ha="center",
                fontsize=style.SMALL,
            )
    for model, value in published.items():
        mark = {"color": colours[0.6], "marker": SHAPES[0.6], "markersize": style.points(6.5)}
        ax.plot([value], [models.index(model)], zorder=2, **mark, **style.PUBLISHED)
    ends = [*rows["mean"].dropna(), *rows["high"].dropna(), *published.values()]
    ax.set_xscale("log")
    ax.set_xlim(0.8, 1.5 * max(ends))
    style.log_axis(ax.xaxis, 0.8, 1.5 * max(ends))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("epoch")


def _handles(published: bool) -> list[Line2D]:
    colours = _colours()
    handles = [
        Line2D([], [], ls="", color=colours[level], marker=shape, label=f"to {level:.2f}")
        for level, shape in SHAPES.items()
    ]
    if published:
        hollow = {"color": colours[0.6], "marker": SHAPES[0.6], **style.PUBLISHED}
        handles.append(Line2D([], [], ls="", label="to 0.60, as published", **hollow))
    return handles


def _note(table: pd.DataFrame) -> str:
    if table["runs"].max() == 1:
        return "one run"
    return "mean of the runs that got there in its 95% t interval"


def reaches_a_level(runs: pd.DataFrame, epochs: pd.DataFrame) -> bool:
    """Return whether any of `runs` reached the lowest level in LEVELS."""
    return bool(with_epochs_to(runs, epochs)[column_of(LEVELS[0])].notna().any())

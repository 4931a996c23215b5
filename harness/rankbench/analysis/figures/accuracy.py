"""Draw top accuracy against parameters and compression, by split (BT Fig. 6, TR Fig. 7 a)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from rankbench.analysis.figures import style
from rankbench.analysis.figures.marks import interval_notes, levels_of, mean_mark, model_colours
from rankbench.analysis.summaries import labels
from rankbench.analysis.summaries.accuracy import by_model, classified
from rankbench.analysis.summaries.models import condition_order, in_common
from rankbench.analysis.summaries.rows import evenly, left_out, records
from rankbench.common.text import ratio

PANELS = 4


def accuracy_vs_parameters(runs: pd.DataFrame) -> Figure:
    """Draw top accuracy against parameters and compression, with a panel per condition.

    Filled marks are means. Thick bars are 95% t intervals over runs, thin bars Wilson intervals
    over the test clips. Hollow marks are published values. A horizontal line marks the best dense
    model.

    Args:
        runs: Rows of the `runs` table.

    Raises:
        ValueError: If no finished run classifies clips.
    """
    kept = classified(runs, "accuracy_vs_parameters")
    table = by_model(kept)
    places = evenly(condition_order(table["condition"]), PANELS)
    with style.house():
        figure = style.new(max(6.4, 3.4 * len(places)), 4.4)
        axes = figure.subplots(1, len(places), squeeze=False, sharey=True, sharex=True)[0]
        shades = model_colours(table)
        for ax, place in zip(axes, places, strict=True):
            here = table[table["condition"] == place]
            _parameters(ax, here, shades)
            ax.set_title(f"{place} split")
            ax.set_xlabel("parameters of the input map")
        _sizes(axes, kept)
        axes[0].set_ylabel("top test accuracy")
        axes[0].set_ylim(*_range(table))
        handles = _handles(table, shades)
        style.legend_above(figure, handles, 3 if len(places) < 3 else 4)
        style.caption(figure, [*interval_notes(table), in_common(kept), left_out(kept, runs)])
    return figure


def _range(table: pd.DataFrame) -> tuple[float, float]:
    """Return limits, in tenths, that hold every mean, interval and published value."""
    ends = pd.concat([table[c] for c in ("mean", "low", "high", "clips_low", "clips_high")])
    values = [*ends.dropna(), *(level for row in records(table) for level in levels_of(row))]
    return max(0.0, math.floor(10 * min(values)) / 10), min(1.0, math.ceil(10 * max(values)) / 10)


def _parameters(ax: Axes, here: pd.DataFrame, shades: dict[str, Any]) -> None:
    dense = here[here["family"] == "dense"].sort_values("mean")
    for row in records(dense.tail(1)):
        ax.axhline(row["mean"], color=shades[row["model"]], lw=1.2)
        low, high = (row["low"], row["high"])
        if pd.isna(low):
            low, high = row["clips_low"], row["clips_high"]
        ax.axhspan(low, high, color=style.COLOURS["dense"], alpha=0.08, lw=0)
        for value in levels_of(row):
            ax.axhline(value, color=style.COLOURS["dense"], lw=1.0, ls=(0, (2, 2)))
    others = here[here["family"] != "dense"]
    families = list(dict.fromkeys(others["family"]))
    for row in records(others):
        # Shift families sideways: models of nearly the same size would cover each other.
        shift = 1 + 0.05 * (families.index(row["family"]) - (len(families) - 1) / 2)
        x = row["num_params"] * shift
        look = style.mark(row["family"], 6.5) | {"color": shades[row["model"]]}
        mean_mark(ax, x, row, look)
        for value in levels_of(row):
            ax.plot([0.955 * x], [value], **look, **style.PUBLISHED, linestyle="", zorder=2)
    ax.set_xscale("log")
    ax.margins(x=0.12)


def _sizes(axes: Iterable[Axes], kept: pd.DataFrame) -> None:
    """Label the ticks with parameters and, if all layers replace the same matrix, compression."""
    sizes = kept.loc[kept["family"] != "dense", "num_params"].astype(float)
    low, high = sizes.min() / 1.4, sizes.max() * 1.4
    dense = kept["dense_params"].dropna().unique()
    whole = float(dense[0]) if len(dense) == 1 else None
    for ax in axes:
        ax.set_xlim(low, high)
        style.log_axis(ax.xaxis, low, high)
        if whole is not None and high / low < 200:
            ax.xaxis.set_major_formatter(FuncFormatter(_both(whole)))
            ax.set_xlabel("parameters of the input map\nand how many times fewer")


def _both(whole: float) -> Callable[[float, int], str]:
    """Return a formatter of ticks: parameters and, below, the compression of the `whole` matrix."""
    return lambda tick, _: f"{labels.count(tick)}\n{ratio(whole / tick)}"


def _handles(table: pd.DataFrame, shades: dict[str, Any]) -> list[Line2D]:
    handles = []
    dense = table[table["family"] == "dense"].sort_values("mean")
    drawn = set(dense.drop_duplicates("condition", keep="last")["model"])
    for row in records(table.drop_duplicates("model")):
        if row["family"] == "dense" and row["model"] not in drawn:
            continue
        name = f"{row['model']}  {labels.count(row['num_params'])}"
        if row["family"] == "dense":
            handles.append(Line2D([], [], color=shades[row["model"]], label=f"{name}: line"))
        else:
            look = style.mark(row["family"]) | {"color": shades[row["model"]]}
            handles.append(Line2D([], [], linestyle="", label=name, **look))
    hollow = {"marker": "o", "color": "#555555", **style.PUBLISHED}
    return [*handles, Line2D([], [], linestyle="", label="as published (dense: dotted)", **hollow)]

"""Compare compressed LSTMs on CNN features with the dense LSTM: accuracy, size and time."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from rankbench.analysis.figures import style
from rankbench.analysis.figures.marks import interval_notes, levels_of, mean_mark
from rankbench.analysis.summaries import labels
from rankbench.analysis.summaries.accuracy import TOP, by_model, classified
from rankbench.analysis.summaries.costs import with_time
from rankbench.analysis.summaries.models import in_common
from rankbench.analysis.summaries.rows import Row, left_out, records, several
from rankbench.common.text import ratio

TASK = "features"


def features(runs: pd.DataFrame, epochs: pd.DataFrame) -> Figure:
    """Draw accuracy, parameters and seconds per epoch of models on features (TR Tables 2 and 3).

    Small marks are runs, large marks means. Thick bars are 95% t intervals over runs, thin bars
    Wilson intervals over the test clips. Hollow marks are published values. Sizes are also given
    relative to the dense LSTM, times relative to the fastest dense LSTM. The time of an epoch
    includes its evaluation.

    Args:
        runs: Rows of the `runs` table.
        epochs: Rows of the `epochs` table.

    Raises:
        ValueError: If no finished run is on features.
    """
    kept = classified(runs, "features")
    kept = kept[kept["task"] == TASK]
    if kept.empty:
        raise ValueError("features: no finished run is on features")
    table = with_time(by_model(kept), kept, epochs)
    names = _names(table)
    with style.house():
        figure = style.new(10.4, 1.9 + 0.42 * len(table))
        left, middle, right = figure.subplots(1, 3, sharey=True, width_ratios=[2.2, 1, 1])
        _accuracies(left, table, kept)
        _bars(middle, table, "num_params", "parameters of the input map")
        _bars(right, table, "epoch_s", "seconds an epoch")
        left.set_yticks(range(len(table)), names)
        left.set_ylim(len(table) - 0.5, -0.5)
        hollow = {"color": "#555555", "marker": "o", **style.PUBLISHED}
        handle = Line2D([], [], ls="", label="as published", **hollow)
        figure.legend(handles=[handle], loc="outside upper center")
        devices = ", ".join(sorted(set(kept["device"].dropna())))
        notes = [*interval_notes(table), f"measured on {devices}" if devices else ""]
        notes += [in_common(kept), *_unlike(table), left_out(kept, runs)]
        style.caption(figure, notes)
    return figure


def _names(table: pd.DataFrame) -> list[str]:
    split = several(table["condition"])
    return [
        f"CNN + {row['model']}" + (f", {row['condition']}" if split else "")
        for row in records(table)
    ]


def _accuracies(ax: Axes, table: pd.DataFrame, kept: pd.DataFrame) -> None:
    for y, row in enumerate(records(table)):
        look = style.mark(row["family"], 7)
        same = (kept["model"] == row["model"]) & (kept["condition"] == row["condition"])
        values = kept.loc[same, TOP].astype(float)
        small = {"color": look["color"], "ms": 3, "alpha": 0.6, "ls": "", "marker": "o"}
        ax.plot(values, np.full(len(values), y + 0.22), zorder=2, **small)
        mean_mark(ax, y, row, look, across=True)
        for value in levels_of(row):
            ax.plot([value], [y - 0.22], ls="", **style.mark(row["family"], 7), **style.PUBLISHED)
        ax.axhline(y + 0.5, color="#e3e3e3", lw=0.6, zorder=0)
    ax.grid(visible=False, axis="y")
    ax.margins(x=0.08)
    ax.set_xlabel("top test accuracy")


def _bars(ax: Axes, table: pd.DataFrame, column: str, name: str) -> None:
    """Draw bars of `column`, with their value and how it compares with the dense LSTM."""
    for y, row in enumerate(records(table)):
        value = row[column]
        if value != value:
            continue
        ax.barh(y, value, height=0.5, color=style.COLOURS[row["family"]])
        ax.annotate(
            _said(row, column),
            (value, y),
            xytext=(style.points(4), 0),
            textcoords="offset points",
            va="center",
            fontsize=style.SMALL,
        )
    ax.grid(visible=False, axis="y")
    if table[column].notna().any():
        ax.set_xlim(0, float(table[column].max()) * 2.1)  # Leave room for the numbers.
    ax.xaxis.set_major_locator(MaxNLocator(3))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: labels.count(tick)))
    ax.set_xlabel(name)


def _said(row: Row, column: str) -> str:
    """Format the value of a bar, and how many times fewer or slower it is than the dense LSTM."""
    if column == "num_params":
        count = labels.count(row[column])
        return (
            count
            if row["family"] == "dense"
            else f"{count}, {ratio(row['compression_ratio'])} fewer"
        )
    text, times = f"{labels.value(row[column])} s", row["times_dense"]
    if row["family"] == "dense" or times != times:
        return text
    return f"{text}, {ratio(times)} slower" if times >= 1 else f"{text}, {ratio(1 / times)} faster"


def _unlike(table: pd.DataFrame) -> list[str]:
    return [f"not as published: {note}" for note in table["note"].unique() if note]

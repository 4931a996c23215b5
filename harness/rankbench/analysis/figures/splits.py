"""Compare each model on every split: how much of an accuracy comes from recognising the scene."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rankbench.analysis.figures import style
from rankbench.analysis.figures.marks import interval_notes, levels_of, mean_mark
from rankbench.analysis.summaries.accuracy import by_model, classified
from rankbench.analysis.summaries.models import condition_order, in_common
from rankbench.analysis.summaries.rows import left_out, records

MODELS = 14


def splits(runs: pd.DataFrame) -> Figure:
    """Draw the top accuracy of every model, with a mark per condition and the published values.

    Thick bars are 95% t intervals over runs, thin bars Wilson intervals over the test clips. The
    number on the right is the change from the first condition to the last, if a model has both.

    Args:
        runs: Rows of the `runs` table.

    Raises:
        ValueError: If no finished run classifies clips.
    """
    kept = classified(runs, "splits")
    table = by_model(kept)
    models = list(dict.fromkeys(table["model"]))[:MODELS]
    cut = f"{len(models)} of {table['model'].nunique()} models"
    places = condition_order(table["condition"])
    with style.house():
        figure = style.new(7.4, 1.5 + 0.5 * len(models))
        looks = {place: _look(number) for number, place in enumerate(places)}
        ax = figure.subplots()
        for y, model in enumerate(models):
            _row(ax, y, table[table["model"] == model], looks)
        ax.set_yticks(range(len(models)), models)
        ax.set_ylim(len(models) - 0.5, -0.5)
        ax.set_xlim(0, 1)
        ax.set_xlabel("top test accuracy")
        ax.grid(visible=False, axis="y")
        style.legend_above(figure, _handles(looks), 4)
        notes = [*interval_notes(table), f"right: {places[-1]} minus {places[0]}", in_common(kept)]
        notes += [cut if table["model"].nunique() > MODELS else "", left_out(kept, runs)]
        style.caption(figure, notes)
    return figure


def _look(number: int) -> dict[str, Any]:
    colour, shape = style.SPLIT_LOOKS[number % len(style.SPLIT_LOOKS)]
    return {"color": colour, "marker": shape, "markersize": style.points(5.5)}


def _row(ax: Axes, y: int, rows: pd.DataFrame, looks: dict[str, dict[str, Any]]) -> None:
    """Draw the marks of one model, whose rows are in the order of conditions."""
    ax.axhline(y + 0.5, color="#e3e3e3", lw=0.6, zorder=0)
    step = 0.6 / max(1, len(looks) - 1)
    order = list(looks)
    for row in records(rows):
        at = y + (order.index(row["condition"]) - (len(order) - 1) / 2) * step
        mean_mark(ax, at, row, looks[row["condition"]], across=True)
    first, last = records(rows)[0], records(rows)[-1]
    for value in levels_of(first):
        ax.plot([value, value], [y - 0.42, y + 0.42], color="#000000", lw=1.2, zorder=2)
    if (first["condition"], last["condition"]) == (order[0], order[-1]) and len(order) > 1:
        lost = f"{last['mean'] - first['mean']:+.2f}".replace("-", "\N{MINUS SIGN}")
        ax.annotate(
            lost,
            (1.0, y),
            xycoords=ax.get_yaxis_transform(),
            va="center",
            xytext=(style.points(6), 0),
            textcoords="offset points",
            annotation_clip=False,
        )


def _handles(looks: dict[str, dict[str, Any]]) -> list[Line2D]:
    handles = [
        Line2D([], [], ls="", label=f"{place} split", **look) for place, look in looks.items()
    ]
    return [
        *handles,
        Line2D([], [], ls="", marker="|", ms=11, color="#000000", label="as published"),
    ]

"""Loss and accuracy over epochs, a column of panels per split (BT Fig. 6, TR Fig. 7 b and c)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rankbench.analysis.figures import style
from rankbench.analysis.figures.curves import LINES
from rankbench.analysis.figures.lines import Looks, draw_lines, draw_published
from rankbench.analysis.summaries import labels
from rankbench.analysis.summaries.accuracy import TOP, classified
from rankbench.analysis.summaries.comparisons import published_levels
from rankbench.analysis.summaries.models import condition_order, in_common, model_order
from rankbench.analysis.summaries.rows import evenly, left_out, records

# Column of the curves -> name of its axis.
ROWS = {
    "train_loss": "training loss",
    "validation_accuracy": "validation accuracy",
    "accuracy": "test accuracy",
}
PANELS = 4


def curves_by_split(runs: pd.DataFrame, epochs: pd.DataFrame) -> Figure:
    """Training loss, validation and test accuracy over epochs, a column of panels per condition.

    A line is the mean over seeds and folds in its 95% t interval, the same look for a model
    everywhere; triangles mark what papers report. Of more than 10 models the best of each
    decomposition are drawn; of more than four conditions an even choice.

    Raises ValueError where no finished run that classifies has a curve.
    """
    kept = classified(runs, "curves_by_split")
    kept = kept[kept["run_id"].isin(epochs["run_id"])]
    if kept.empty:
        raise ValueError("curves_by_split: no finished run has epochs")
    kept, cut = few_models(kept)
    ordered = kept.drop_duplicates("model").set_index("model").loc[model_order(kept)]
    firsts = records(ordered.reset_index())
    looks = style.line_styles({row["model"]: row["family"] for row in firsts})
    places = evenly(condition_order(kept["condition"]), PANELS)
    columns = [c for c in ROWS if c in epochs.columns and epochs[c].notna().any()]
    levels = {row["model"]: published_levels(row) for row in firsts}
    with style.house():
        figure = style.new(max(6.4, 3.2 * len(places)), 2.5 * len(columns) + 0.8)
        grid = figure.subplots(len(columns), len(places), squeeze=False, sharey="row", sharex="col")
        for place, axes in zip(places, grid.T, strict=True):
            _column(axes, kept[kept["condition"] == place], epochs, columns, looks)
            axes[0].set_title(f"{place} split")
            draw_published(axes[-1], levels, looks)
        for ax, column in zip(grid[:, 0], columns, strict=True):
            ax.set_ylabel(ROWS[column])
        names = {row["model"]: f"{row['model']}  {labels.size(row)}" for row in firsts}
        handles = [Line2D([], [], label=names[model], **look) for model, look in looks.items()]
        style.legend_above(figure, handles, 2 if len(places) < 3 else 3)
        style.caption(figure, [*curve_notes(kept, levels), cut, left_out(kept, runs)])
    return figure


def _column(
    axes: np.ndarray[Any, Any],
    rows: pd.DataFrame,
    epochs: pd.DataFrame,
    columns: list[str],
    looks: Looks,
) -> None:
    """The panels of one condition, top to bottom."""
    chosen = rows.assign(point_id=rows["model"])
    for ax, column in zip(axes, columns, strict=True):
        draw_lines(ax, column, chosen, epochs, looks)
    axes[-1].set_xlabel("epoch")


def few_models(rows: pd.DataFrame, most: int = LINES) -> tuple[pd.DataFrame, str]:
    """The rows of at most `most` models, and what was left out.

    Of more models the best of each family are kept, by their mean top accuracy.
    """
    names = list(rows["model"].unique())
    if len(names) <= most:
        return rows, ""
    means = rows.groupby(["family", "model"])[TOP].mean().reset_index()
    best = means.sort_values(TOP, ascending=False).drop_duplicates("family")["model"]
    return rows[rows["model"].isin(best)], f"best of each decomposition, of {len(names)} models"


def curve_notes(rows: pd.DataFrame, levels: dict[str, tuple[float, ...]]) -> list[str]:
    """What lines, bands and triangles stand for."""
    counts = rows.groupby(["model", "condition"]).size()
    least, most = int(counts.min()), int(counts.max())
    span = f"{most}" if least == most else f"{least} to {most}"
    lines = "one run a line" if most == 1 else f"mean of {span} runs in its 95% t interval"
    return [lines, in_common(rows), "◂: as published" if any(levels.values()) else ""]

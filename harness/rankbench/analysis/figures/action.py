"""Draw loss and accuracy over epochs, by split (BT Fig. 6, TR Fig. 7 b and c)."""

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

# Column of the `epochs` table -> label of its axis.
ROWS = {
    "train_loss": "training loss",
    "validation_accuracy": "validation accuracy",
    "accuracy": "test accuracy",
}
PANELS = 4


def curves_by_split(runs: pd.DataFrame, epochs: pd.DataFrame) -> Figure:
    """Draw training loss, validation and test accuracy over epochs, a column per condition.

    Each line is the mean over seeds and folds in its 95% t interval; a model looks the same in
    every panel. Triangles mark published accuracies. With more than 10 models, only the best of
    each decomposition is drawn; with more than four conditions, an even choice of them.

    Args:
        runs: Rows of the `runs` table.
        epochs: Rows of the `epochs` table.

    Raises:
        ValueError: If no finished run that classifies clips has a curve.
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
    """Draw the panels of one condition, from top to bottom."""
    chosen = rows.assign(point_id=rows["model"])
    for ax, column in zip(axes, columns, strict=True):
        draw_lines(ax, column, chosen, epochs, looks)
    axes[-1].set_xlabel("epoch")


def few_models(rows: pd.DataFrame, most: int = LINES) -> tuple[pd.DataFrame, str]:
    """Limit the number of models to draw.

    Args:
        rows: Runs with the columns `family` and `model`.
        most: The largest number of models to draw without a choice.

    Returns:
        All rows, or those of the model with the best mean top accuracy of each family, and a note
        on what was left out, which may be empty.
    """
    names = list(rows["model"].unique())
    if len(names) <= most:
        return rows, ""
    means = rows.groupby(["family", "model"])[TOP].mean().reset_index()
    best = means.sort_values(TOP, ascending=False).drop_duplicates("family")["model"]
    return rows[rows["model"].isin(best)], f"best of each decomposition, of {len(names)} models"


def curve_notes(rows: pd.DataFrame, levels: dict[str, tuple[float, ...]]) -> list[str]:
    """Describe for a caption what lines, bands and triangles mean.

    Args:
        rows: Runs with the columns `model` and `condition`.
        levels: Published accuracies by model.
    """
    counts = rows.groupby(["model", "condition"]).size()
    least, most = int(counts.min()), int(counts.max())
    span = f"{most}" if least == most else f"{least} to {most}"
    lines = "one run a line" if most == 1 else f"mean of {span} runs in its 95% t interval"
    return [lines, in_common(rows), "◂: as published" if any(levels.values()) else ""]

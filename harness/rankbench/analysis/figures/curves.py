"""Draw training loss beside test accuracy or RMSE over epochs (BT Fig. 6, TR Fig. 7)."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rankbench.analysis.figures import style
from rankbench.analysis.figures.lines import Looks, draw_lines, draw_published
from rankbench.analysis.metrics import METRICS
from rankbench.analysis.names import NAMES
from rankbench.analysis.summaries import labels
from rankbench.analysis.summaries.comparisons import published_levels
from rankbench.analysis.summaries.models import modelled
from rankbench.analysis.summaries.rows import (
    Row,
    at_noise,
    condition,
    done,
    evenly,
    left_out,
    records,
    seed_note,
    varying,
)
from rankbench.analysis.tables import points as tables

LINES = 10
# Column of the `epochs` table -> the corresponding metric of a run, and the label of the axis.
RIGHT = {"accuracy": ("top_accuracy", "test accuracy"), "rmse": ("rmse", "RMSE of W")}


def curves(runs: pd.DataFrame, epochs: pd.DataFrame) -> Figure:
    """Draw training loss and test accuracy, or RMSE if nothing is classified, over epochs.

    Each line is the mean of a point over its seeds and folds. Its band is the 95% t interval or, on
    a log axis, the range of the runs. The legend shows the compression ratio, the top accuracy, and
    what the papers report for the same layer on UCF11.

    With more than 10 points, only the best of each decomposition is drawn, or an even choice if
    there is a single decomposition. Of several noise variances, only the one nearest to 0.05 is
    drawn.

    Args:
        runs: Rows of the `runs` table.
        epochs: Rows of the `epochs` table.

    Raises:
        ValueError: If no finished run has a curve.
    """
    column = _right_column(epochs)
    metric, axis = RIGHT[column]
    finished = done(runs, "curves", "point_id", "num_params", metric)
    finished = finished[finished["run_id"].isin(epochs["run_id"])]
    if finished.empty:
        raise ValueError("curves: no finished run has epochs")
    chosen = _folds_together(at_noise(finished))
    points, cut = _points(chosen, metric)
    with style.house():
        rows = math.ceil(len(points) / 2)
        figure = style.new(9.6, 4.1 + 0.2 * rows)
        grid = figure.add_gridspec(2, 2, height_ratios=[3.6, 0.2 * rows])
        left, right = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1])
        looks = _looks(points)
        draw_lines(left, "train_loss", chosen, epochs, looks)
        draw_lines(right, column, chosen, epochs, looks)
        style.name_axes(left, x="epoch", y="training loss")
        style.name_axes(right, x="epoch", y=axis)
        draw_published(right, _levels(points), looks)
        _legend(figure.add_subplot(grid[1, :]), left, points, metric)
        figure.suptitle(style.sentence(condition(chosen)))
        decades = right.get_yscale() == "log"
        style.caption(figure, [*_notes(points, decades=decades), cut, left_out(finished, runs)])
    return figure


def _folds_together(rows: pd.DataFrame) -> pd.DataFrame:
    """Merge the points of a model on several folds into one."""
    if not varying(rows, ["fold"]):
        return rows
    return rows.assign(point_id=modelled(rows)["model"])


def _right_column(epochs: pd.DataFrame) -> str:
    if epochs.empty:
        raise ValueError("curves: there are no epochs")
    for column in RIGHT:
        if column in epochs.columns and epochs[column].notna().any():
            return column
    raise ValueError(f"curves: the epochs have neither {' nor '.join(RIGHT)}")


def _points(chosen: pd.DataFrame, metric: str) -> tuple[pd.DataFrame, str]:
    """Return the points to draw, by family and parameters, and a note on what was left out."""
    points = tables.summary(chosen, metric)
    cut = ""
    if len(points) > LINES:
        cut = f"best of each decomposition, of {len(points)} points"
        best = tables.best_of_each(chosen, metric)
        if len(best) == 1:
            cut = f"{LINES} of {len(points)} points, evenly spaced by parameters"
            best = points.iloc[evenly(range(len(points)), LINES)]
        points = best
    firsts = {row["point_id"]: row for row in records(chosen.drop_duplicates("point_id"))}
    facts: dict[str, Any] = {
        "order": points["family"].map(list(NAMES).index),
        "size": [labels.size(firsts[point]) for point in points["point_id"]],
        "paper": [published_levels(firsts[point]) for point in points["point_id"]],
    }
    return points.assign(**facts).sort_values(["order", "num_params"], ignore_index=True), cut


def _looks(points: pd.DataFrame) -> Looks:
    """Return colour and dashes by point_id."""
    return style.line_styles({row["point_id"]: row["family"] for row in records(points)})


def _levels(points: pd.DataFrame) -> dict[str, tuple[float, ...]]:
    return {row["point_id"]: row["paper"] for row in records(points)}


def _legend(room: Axes, ax: Axes, points: pd.DataFrame, metric: str) -> None:
    """Draw one legend entry per line of `ax` in the axes `room` below."""
    room.set_axis_off()
    texts = {row["point_id"]: _entry(row, metric) for row in records(points)}
    handles = [line for line in ax.get_lines() if str(line.get_label()) in texts]
    names = [texts[str(line.get_label())] for line in handles]
    room.legend(
        handles, names, loc="center", ncols=2, handlelength=2.6, columnspacing=1.4, borderaxespad=0
    )


def _entry(row: Row, metric: str) -> str:
    """Format a legend entry: 'BT R=4 N=2  CR 17388x  top 0.853', with ± over several seeds."""
    number = labels.value(row["mean"])
    if row["seeds"] > 1:
        number = labels.plus_minus(row["mean"], row["high"] - row["mean"])
    entry = f"{row['label']}  {row['size']}  {METRICS[metric].short} {number}"
    paper = ", ".join(f"{accuracy:.3f}" for accuracy in row["paper"])
    return f"{entry}  paper: {paper}" if paper else entry


def _notes(points: pd.DataFrame, *, decades: bool) -> list[str]:
    note = seed_note(points)
    if points["seeds"].max() > 1:
        band = "band: their range, ±" if decades else "band and ±"
        note = note.replace("95%", f"{band}: 95%")
    return [note, "◂: as published"] if points["paper"].map(len).any() else [note]

"""Draw recovered weights as pictures: all points (BT Fig. 9), or the best ones (TR Fig. 5)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rankbench.analysis.figures import style
from rankbench.analysis.names import NAMES
from rankbench.analysis.summaries import labels
from rankbench.analysis.summaries.rows import (
    Row,
    at_noise,
    condition,
    done,
    evenly,
    integer,
    left_out,
    one_condition,
    records,
    several,
)
from rankbench.analysis.tables import points as tables

PANELS = 24
COLUMNS = 6
Matrix = npt.NDArray[np.float64]


def recovered(runs: pd.DataFrame, weights: pd.DataFrame) -> Figure:
    """Draw the target W and each point's recovered W, with d, ranks, parameters and RMSE below.

    A point shows its seed of median RMSE. Points are in order of parameters; with more than 24, the
    best of each decomposition and an even choice of the others are drawn. Of several noise
    variances, only the one nearest to 0.05 is drawn.

    Args:
        runs: Rows of the `runs` table.
        weights: Rows of the `weights` table.

    Raises:
        ValueError: If no finished run kept its weights, or the runs are not comparable.
    """
    finished = _with_weights(runs, weights, "recovered")
    chosen = at_noise(finished)
    points = _median_runs(chosen).sort_values(["num_params", "rmse"], kind="stable")
    drawn = _choice(points, set(tables.best_of_each(chosen, "rmse")["point_id"]))
    cut = f"{len(drawn)} of {len(points)} points: best of each decomposition, others evenly spaced"
    notes = [_seed_note(chosen), cut if len(drawn) < len(points) else "", left_out(finished, runs)]
    return _pictures(drawn, weights, f"Recovered W: {condition(chosen)}", notes)


def noise_picture(runs: pd.DataFrame, weights: pd.DataFrame) -> Figure:
    """Draw the target W and the best recovered W of each decomposition (TR Fig. 5).

    The best point has the lowest mean RMSE; it shows its seed of median RMSE. Of several noise
    variances, only the one nearest to 0.05 is drawn.

    Args:
        runs: Rows of the `runs` table.
        weights: Rows of the `weights` table.

    Raises:
        ValueError: If no finished run kept its weights, or the runs are not comparable.
    """
    finished = _with_weights(runs, weights, "noise_picture")
    chosen = at_noise(finished)
    points = _median_runs(chosen).set_index("point_id", drop=False)
    best = tables.best_of_each(chosen, "rmse")
    notes = [_seed_note(chosen), left_out(finished, runs)]
    title = f"Best of each decomposition: {condition(chosen)}"
    return _pictures(points.loc[best["point_id"]], weights, title, notes)


def matrix(weights: pd.DataFrame, run_id: str, name: str) -> Matrix:
    """Return a matrix that a run kept.

    Args:
        weights: Rows of the `weights` table.
        run_id: The id of the run.
        name: "target" or "recovered".

    Returns:
        The matrix, (out_features, in_features).

    Raises:
        ValueError: If the run kept no matrix of that name.
    """
    rows = weights[(weights["run_id"] == run_id) & (weights["name"] == name)]
    if rows.empty:
        raise ValueError(f"weights: run {run_id} kept no matrix named {name}")
    first = rows.iloc[0]
    return np.asarray(first["values"], dtype=float).reshape(tuple(first["shape"]))


def _with_weights(runs: pd.DataFrame, weights: pd.DataFrame, figure: str) -> pd.DataFrame:
    finished = done(runs, figure, "point_id", "rmse", "num_params")
    if weights.empty:
        raise ValueError(f"{figure}: there are no weights")
    kept = set(weights.loc[weights["name"] == "recovered", "run_id"])
    finished = finished[finished["run_id"].isin(kept)]
    if finished.empty:
        raise ValueError(f"{figure}: none of {len(runs)} runs kept its recovered weights")
    one_condition(finished, figure)
    return finished


def _median_runs(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the run of median RMSE of each point; of two middle runs, the lower one."""
    ordered = rows.sort_values(["rmse", "seed"], kind="stable")
    groups = ordered.groupby("point_id", sort=False)["rmse"]
    return ordered[groups.cumcount() == (groups.transform("size") - 1) // 2]


def _choice(points: pd.DataFrame, best: set[str]) -> pd.DataFrame:
    """Choose at most PANELS of `points`: those in `best`, and an even choice of the others."""
    is_best = points["point_id"].isin(best)
    others = list(points.loc[~is_best, "point_id"])
    kept = best | set(evenly(others, PANELS - int(is_best.sum())))
    return points[points["point_id"].isin(kept)]


def _pictures(
    rows: pd.DataFrame, weights: pd.DataFrame, title: str, notes: Sequence[str]
) -> Figure:
    target = matrix(weights, str(rows["run_id"].iloc[0]), "target")
    panels = [(target, f"target W\nP={target.size}")]
    for row in records(rows):
        panels.append((matrix(weights, str(row["run_id"]), "recovered"), _under(row)))
    lines = math.ceil(len(panels) / COLUMNS)
    columns = math.ceil(len(panels) / lines)
    with style.house():
        figure = style.new(1.65 * columns + 0.7, 2.05 * lines + (0.6 if lines > 1 else 0.4))
        axes = figure.subplots(lines, columns, squeeze=False).ravel()
        scale = _scale(target)
        for ax, (values, under) in zip(axes, panels, strict=False):
            image = _picture(ax, values, under, scale)
        for ax in axes[len(panels) :]:
            ax.remove()
        shrink = 0.75 if lines == 1 else 0.5
        figure.colorbar(
            image, ax=list(axes[: len(panels)]), shrink=shrink, pad=0.015, extend="both"
        )
        figure.suptitle(title)
        style.caption(figure, notes)
    return figure


def _scale(target: Matrix) -> tuple[float, float]:
    """Return the range of the target, the colour scale of all pictures."""
    low, high = float(target.min()), float(target.max())
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def _picture(ax: Axes, values: Matrix, under: str, scale: tuple[float, float]) -> Any:
    low, high = scale
    image = ax.imshow(values, cmap=style.PICTURE, vmin=low, vmax=high, interpolation="nearest")
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_xlabel(under, fontsize=style.SMALL)
    return image


def _under(row: Row) -> str:
    """Return the text below a picture, on separate lines: decomposition, ranks, size and RMSE."""
    ranks = labels.ranks(row)
    order = (
        f"d={integer(row, 'core_order')} " if ranks and row["decomposition"] != "low_rank" else ""
    )
    lines = [NAMES[str(row["family"])], f"{order}{ranks}"]
    lines.append(f"P={labels.count(row['num_params'])}  RMSE {labels.value(row['rmse'])}")
    return "\n".join(line for line in lines if line)


def _seed_note(rows: pd.DataFrame) -> str:
    return "of each point the seed of median RMSE" if several(rows["seed"]) else ""

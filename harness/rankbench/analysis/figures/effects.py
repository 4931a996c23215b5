"""Draw which hyperparameters matter, alone and in pairs."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rankbench.analysis.figures import style
from rankbench.analysis.metrics import Metric
from rankbench.analysis.names import NAMES, SHORT
from rankbench.analysis.stats.contrasts import LEVEL
from rankbench.analysis.summaries.budgets import metric_of
from rankbench.analysis.summaries.effects import BETWEEN, OUTCOMES, effects, grids, letters_of
from rankbench.analysis.summaries.importances import TOP, importances
from rankbench.analysis.summaries.rows import records


def interactions(runs: pd.DataFrame) -> Figure:
    """Draw the metric against each pair of hyperparameters, a row of panels per decomposition.

    Parallel lines show no interaction. A mark is the mean over seeds and over the other
    hyperparameters of a full grid (see `effects.grids`).

    Args:
        runs: Rows of the `runs` table.

    Raises:
        ValueError: If no decomposition has a full grid of two hyperparameters.
    """
    metric, found = metric_of(runs), grids(runs)
    if not found:
        raise ValueError("interactions: no full grid of two hyperparameters of a decomposition")
    shares = effects(runs)
    pairs = [list(itertools.combinations(letters_of(grid), 2)) for grid in found]
    columns = max(len(own) for own in pairs)
    with style.house():
        figure = style.new(1.0 + 3.0 * max(columns, 2), 1.0 + 2.9 * len(found))
        axes = figure.subplots(len(found), columns, squeeze=False, sharey="row")
        for row, grid, own in zip(axes, found, pairs, strict=True):
            for ax in row[len(own) :]:
                ax.set_axis_off()
            for ax, (x, line) in zip(row, own, strict=False):
                _panel(ax, grid, x, line, metric)
                ax.set_title(_title(shares, grid, f"{x}{BETWEEN}{line}"), fontsize="medium")
            row[0].set_ylabel(f"{_of(grid)}\n{metric.name}")
        style.caption(figure, [_NOTE])
    return figure


_NOTE = (
    "means over seeds and the other hyperparameters of a full grid; titles: the share of variance "
    f"that the interaction explains (type II, errors in logarithms), shown where Holm's p < {LEVEL}"
)


def _of(grid: pd.DataFrame) -> str:
    part = str(grid["part"].iloc[0]).replace("_", " ")
    name = NAMES[str(grid["family"].iloc[0])]
    return f"{name} ({part})" if part else name


def _panel(ax: Axes, grid: pd.DataFrame, x: str, line: str, metric: Metric) -> None:
    values = sorted(grid[line].unique())
    means = grid.assign(y=grid[metric.column].astype(float)).groupby([line, x])["y"].mean()
    for step, value in enumerate(values):
        own = means.loc[value]
        look = style.line_look(style.COLOURS[str(grid["family"].iloc[0])], step, len(values))
        ax.plot(own.index.to_numpy(float), own, marker="o", label=f"{line}={value}", **look)
    ticks = sorted(grid[x].unique())
    ax.set_xscale("log" if x != "d" else "linear")
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.set_xticks([], minor=True)
    ax.set_xlabel(x)
    ax.legend(loc="best")


def _title(shares: pd.DataFrame, grid: pd.DataFrame, term: str) -> str:
    facts = {"part": grid["part"].iloc[0], "family": grid["family"].iloc[0], "term": term}
    here = shares[(shares[list(facts)] == pd.Series(facts)).all(axis=1)]
    row = records(here)[0]
    shown = "" if row["p_holm"] < LEVEL else ", not shown"
    share = "under 1%" if row["share"] < 0.01 else f"{row['share']:.0%}"
    return f"{term.replace('x', '×')}: {share} of variance{shown}"


def importance(runs: pd.DataFrame) -> Figure:
    """Draw the PED-ANOVA importance of each hyperparameter, a panel per outcome.

    There is a row per decomposition and hyperparameter. Bars are shares within a decomposition,
    lines 95% bootstrap intervals over seeds.

    Args:
        runs: Rows of the `runs` table.

    Raises:
        ValueError: If no decomposition has eight points that differ in two hyperparameters.
    """
    table = importances(runs)
    if table.empty:
        raise ValueError("importance: no decomposition has eight points in two hyperparameters")
    table = table.assign(row=[_row(row) for row in records(table)])
    rows = list(dict.fromkeys(table["row"]))
    outcomes = list(dict.fromkeys(table["outcome"]))
    with style.house():
        figure = style.new(2.2 + 2.4 * len(outcomes), 1.3 + 0.3 * len(rows))
        axes = figure.subplots(1, len(outcomes), squeeze=False, sharey=True)[0]
        for ax, outcome in zip(axes, outcomes, strict=True):
            _bars(ax, table[table["outcome"] == outcome], rows)
            style.name_axes(ax, x="share of importance", y="", title=OUTCOMES[outcome])
        axes[0].set_yticks(range(len(rows)), rows)
        axes[0].invert_yaxis()
        points = sorted(set(table["points"]))
        size = f"{points[0]}" if len(points) == 1 else f"{points[0]} to {points[-1]}"
        note = (
            f"PED-ANOVA: what tells the best {TOP:.0%} of {size} points from the others, a branch "
            "a decomposition; lines: 95% bootstrap over seeds"
        )
        style.caption(figure, [note])
    return figure


def _row(row: dict[str, object]) -> str:
    part = str(row["part"]).replace("_", " ")
    name = SHORT[str(row["family"])]
    return f"{name} {row['term']}" + (f" ({part})" if part else "")


def _bars(ax: Axes, table: pd.DataFrame, rows: list[str]) -> None:
    for row in records(table):
        y, colour = rows.index(row["row"]), style.COLOURS[row["family"]]
        ax.barh(y, row["share"], height=0.65, color=style.shade(colour, 0, 2))
        if not np.isnan(row["low"]):
            ends = [row["low"], row["high"]]
            ax.hlines(y, *ends, color=colour, linewidth=1.6)
            ax.plot(ends, [y, y], "|", color=colour, markersize=style.points(6))
    ax.set_xlim(0, 1.02)
    ax.grid(visible=False, axis="y")

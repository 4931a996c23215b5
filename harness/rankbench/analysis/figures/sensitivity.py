"""Draw a metric and the parameters against each hyperparameter: d, R, N, TT-rank, TR-rank."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from rankbench.analysis.figures import style
from rankbench.analysis.figures.trade_off import learned_metric
from rankbench.analysis.metrics import Metric
from rankbench.analysis.summaries.rows import (
    at_noise,
    condition,
    done,
    evenly,
    left_out,
    one_condition,
    records,
)
from rankbench.analysis.summaries.sweeps import KNOBS, lines_of, means_of

# A panel names up to this many lines; more are drawn pale behind their mean.
NAMED = 7


def sensitivity(runs: pd.DataFrame) -> Figure:
    """Draw a metric (top) and the parameters (bottom) against each hyperparameter that varies.

    A line joins points that differ in that hyperparameter alone, except that modes change with the
    core order. Bars are 95% t intervals over runs. If a panel has more than seven lines, all are
    pale, and a bold line shows the mean over the lines that have every value, with its interval
    over seeds. Of several noise variances, only the one nearest to 0.05 is drawn.

    Args:
        runs: Rows of the `runs` table.

    Raises:
        ValueError: If no hyperparameter varies, or the runs are not comparable.
    """
    metric = learned_metric(runs)
    finished = done(runs, "sensitivity", "point_id", "num_params", metric.column)
    one_condition(finished, "sensitivity")
    chosen = at_noise(finished)
    panels = {column: lines_of(chosen, column, metric.column) for column in KNOBS}
    panels = {column: lines for column, lines in panels.items() if not lines.empty}
    if not panels:
        raise ValueError("sensitivity: no hyperparameter of a decomposition has two values")
    with style.house():
        figure = style.new(max(5.2, 0.6 + 2.7 * len(panels)), 5.6)
        axes = figure.subplots(2, len(panels), squeeze=False, sharex="col", sharey="row")
        bold = False
        for (column, lines), (top, bottom) in zip(panels.items(), axes.T, strict=True):
            bold |= _panel(top, bottom, lines)
            bottom.set_xlabel(KNOBS[column].name)
            _ticks(bottom, lines, doubling=column != "core_order")
        _scales(axes[0, 0], axes[1, 0], list(panels.values()), metric)
        axes[0, 0].set_ylabel(metric.name)
        axes[1, 0].set_ylabel("parameters")
        figure.suptitle(style.sentence(condition(chosen)))
        pale = "pale: one setting of the others, bold: mean over those with every value"
        cut = "bars end where the panel does" if _leave(axes[0, 0], panels) else ""
        notes = [_seed_note(panels), cut, pale if bold else "", left_out(finished, runs)]
        style.caption(figure, notes)
    return figure


def _panel(top: Axes, bottom: Axes, lines: pd.DataFrame) -> bool:
    """Draw metric and parameters of a hyperparameter's lines; return whether they are pale."""
    families = {row["line"]: row["family"] for row in records(lines.drop_duplicates("line"))}
    pale = len(families) > NAMED
    looks = style.line_styles(families)
    for name, points in lines.groupby("line", sort=False):
        _line(top, bottom, points, looks[str(name)], faint=pale)
    if pale:
        for family, own in lines.groupby("family", sort=False):
            _mean(top, bottom, own, str(family))
    handles = [Line2D([], [], label=name, **look) for name, look in looks.items()]
    if pale:
        handles = style.family_handles(list(dict.fromkeys(lines["family"])))
    top.legend(
        handles=handles,
        fontsize=style.SMALL,
        ncols=2,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        handlelength=2.2,
        columnspacing=0.8,
        borderaxespad=0.2,
    )
    return pale


def _ticks(ax: Axes, lines: pd.DataFrame, *, doubling: bool) -> None:
    """Put a tick at every value, on a log2 scale if ranks span a factor of 4 or more."""
    ticks = sorted(set(lines["x"]))
    if doubling and max(ticks) >= 4 * min(ticks):
        ax.set_xscale("log", base=2)
        ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_locator(FixedLocator(evenly(ticks, 7)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))


def _line(
    top: Axes, bottom: Axes, points: pd.DataFrame, look: dict[str, Any], *, faint: bool
) -> None:
    x = points["x"]
    shown = {**look, "alpha": 0.3, "lw": 0.8} if faint else {**look, "marker": "o", "ms": 3.5}
    top.plot(x, points["mean"], **shown)
    bottom.plot(x, points["num_params"], **shown)
    known = points.dropna(subset=["low"])
    if not faint and len(known):
        top.vlines(known["x"], known["low"], known["high"], color=look["color"], lw=1.0, alpha=0.8)


def _mean(top: Axes, bottom: Axes, lines: pd.DataFrame, family: str) -> None:
    """Draw the mean over the lines of a family that have every x, so that it is comparable."""
    points = means_of(lines)
    look = style.mark(family) | {"lw": 2.2, "zorder": 4}
    top.plot(points["x"], points["mean"], **look)
    bottom.plot(points["x"], points["num_params"], **look)
    known = points.dropna(subset=["low"])
    top.vlines(known["x"], known["low"], known["high"], color=look["color"], lw=2.2, zorder=4)


def _scales(top: Axes, bottom: Axes, panels: list[pd.DataFrame], metric: Metric) -> None:
    points = pd.concat(panels)
    sizes = points["num_params"]
    bottom.set_yscale("log")
    bottom.set_ylim(sizes.min() / 1.4, sizes.max() * 1.4)
    style.log_axis(bottom.yaxis, sizes.min(), sizes.max())
    if metric.less_is_better and style.spans_decades(points["mean"]):
        top.set_yscale("log")
        style.log_axis(top.yaxis, points["mean"].min(), points["mean"].max())
    if not metric.less_is_better:
        top.set_ylim(*_range(points["mean"]))


def _leave(top: Axes, panels: dict[str, pd.DataFrame]) -> bool:
    """Return whether any bar extends beyond its panel."""
    points, (low, high) = pd.concat(list(panels.values())), top.get_ylim()
    return bool(((points["low"] < low) | (points["high"] > high)).any())


def _range(means: pd.Series[float]) -> tuple[float, float]:
    """Return limits for accuracies from their means: intervals over two runs may be very wide."""
    room = max(0.1, 0.5 * (means.max() - means.min()))
    return max(0.0, means.min() - room), min(1.0, means.max() + room)


def _seed_note(panels: dict[str, pd.DataFrame]) -> str:
    points = pd.concat(list(panels.values()))
    least, most = int(points["runs"].min()), int(points["runs"].max())
    if most == 1:
        bar = ", bar: 95% Wilson interval over the test clips"
        return f"one run a point{bar if points['low'].notna().any() else ''}"
    runs = f"{most if least == most else f'{least} to {most}'} runs a point"
    return f"{runs}, bar: 95% t interval"

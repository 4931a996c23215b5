"""Draw the time of forward, backward and a whole training step from raw samples."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rankbench.analysis.figures import style
from rankbench.analysis.summaries import labels
from rankbench.analysis.summaries.rows import done, evenly, left_out, records, several

PHASES = ("forward", "backward", "step")
SETTINGS = 24
SPREAD = 0.25  # How far the dots of a point spread up and down.


def timing(runs: pd.DataFrame, samples: pd.DataFrame) -> Figure:
    """Draw every sample of forward, backward and step in ms, with median and quartiles per point.

    Points are in order of parameters; with more than 24, an even choice of them is drawn.

    Args:
        runs: Rows of the `runs` table.
        samples: Rows of the `samples` table.

    Raises:
        ValueError: If no finished run has samples.
    """
    finished = done(runs, "timing", "point_id", "num_params")
    if samples.empty:
        raise ValueError("timing: there are no samples")
    timed = samples.merge(_named(finished), on="run_id").dropna(subset=["ms"])
    timed = timed[timed["phase"].isin(PHASES)]
    if timed.empty:
        raise ValueError(f"timing: no finished run has samples of {', '.join(PHASES)}")
    every = list(dict.fromkeys(timed.sort_values("num_params", kind="stable")["label"]))
    drawn = evenly(every, SETTINGS)
    phases = [phase for phase in PHASES if (timed["phase"] == phase).any()]
    cut = f"{len(drawn)} of {len(every)} points, evenly over parameters"
    with style.house():
        figure = style.new(3.0 + 2.4 * len(phases), 1.5 + 0.24 * len(drawn))
        axes = figure.subplots(1, len(phases), sharey=True, squeeze=False).ravel()
        for ax, phase in zip(axes, phases, strict=True):
            _panel(ax, timed[timed["phase"] == phase], drawn, phase)
        note = "every sample; bar: quartiles, line: median"
        cut = cut if len(drawn) < len(every) else ""
        style.caption(figure, [note, cut, left_out(finished, runs)])
    return figure


def _named(finished: pd.DataFrame) -> pd.DataFrame:
    """Return run_id, label, family and parameters of every run; labels name point and device."""
    names = labels.points(finished)
    named = finished[["run_id", "family", "num_params"]].copy()
    named["label"] = [
        f"{names[row['point_id']]}  P={labels.count(row['num_params'])}"
        for row in records(finished)
    ]
    if "device" in finished.columns and several(finished["device"]):
        named["label"] += "  " + finished["device"].fillna("")
    return named


def _panel(ax: Axes, timed: pd.DataFrame, order: list[str], phase: str) -> None:
    shown = timed[timed["label"].isin(order)]
    sns.stripplot(
        shown,
        x="ms",
        y="label",
        order=order,
        hue="family",
        palette=style.COLOURS,
        size=2.5,
        alpha=0.3,
        jitter=False,
        legend=False,
        ax=ax,
    )
    _spread(ax)
    for position, label in enumerate(order):
        times = shown.loc[shown["label"] == label, "ms"].to_numpy(dtype=float)
        if times.size:
            low, middle, high = np.quantile(times, [0.25, 0.5, 0.75])
            ax.plot([low, high], [position] * 2, color="black", linewidth=4, alpha=0.5)
            ax.plot([middle] * 2, [position - 0.35, position + 0.35], color="black", linewidth=1.4)
    if style.spans_decades(shown["ms"]):
        ax.set_xscale("log")
        style.log_axis(ax.xaxis, shown["ms"].min(), shown["ms"].max())
    style.name_axes(ax, x=f"{phase} (ms)", y="", title=phase)


def _spread(ax: Axes) -> None:
    """Move dots apart at random as seaborn's jitter does, but reproducibly."""
    generator = np.random.default_rng(0)
    for dots in ax.collections:
        x, y = np.asarray(dots.get_offsets()).T
        dots.set_offsets(np.column_stack([x, y + generator.uniform(-SPREAD, SPREAD, len(y))]))

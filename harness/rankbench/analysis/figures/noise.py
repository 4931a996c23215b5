"""Draw the error of the recovered W against the noise in the data (TR Fig. 6)."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rankbench.analysis.figures import style
from rankbench.analysis.names import NAMES
from rankbench.analysis.stats.intervals import mean_interval
from rankbench.analysis.summaries import labels
from rankbench.analysis.summaries.rows import (
    condition,
    done,
    left_out,
    one_condition,
    records,
    seed_note,
    several,
    text,
)

LINES = 8
TICKS = 8  # Up to this many noise variances each get a tick.
COLUMNS = ["label", "family", "noise", "seeds", "mean", "low", "high"]
# Errors this many times smaller than the smallest one with noise are not on the axis.
BELOW = 30.0
# These columns and the rest of `config` identify a setting across noise variances.
SAME = ("family", "core_order", "in_modes", "out_modes", "ranks", "plan", "num_params")


def rmse_vs_noise(runs: pd.DataFrame) -> Figure:
    """Draw the RMSE of W against noise variance, with 95% t intervals over seeds.

    There is a line per setting of the layer. With more than 8 settings, only the best of each
    decomposition is drawn: the one with the lowest geometric mean of RMSE over the positive noise
    variances.

    Args:
        runs: Rows of the `runs` table.

    Raises:
        ValueError: If there are fewer than two noise variances, or the runs are not comparable.
    """
    finished = done(runs, "rmse_vs_noise", "noise", "rmse", "num_params")
    one_condition(finished, "rmse_vs_noise")
    if not several(finished["noise"]):
        raise ValueError("rmse_vs_noise: all finished runs have the same noise variance")
    means = _means(finished)
    kept = _kept(means)
    drawn = means[means["label"].isin(kept)]
    settings = len(set(means["label"]))
    cut = f"best of each decomposition, of {settings} settings" if len(kept) < settings else ""
    with style.house():
        figure = style.new(8.8, 4.4)
        ax = figure.subplots()
        _lines(ax, drawn, kept)
        _noise_axis(ax, sorted(set(drawn["noise"])))
        under = _error_axis(ax, drawn)
        title = style.sentence(condition(finished))
        style.name_axes(ax, x="noise variance", y="RMSE of W", title=title)
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0))
        style.caption(figure, [seed_note(drawn), cut, under, left_out(finished, runs)])
    return figure


def _means(finished: pd.DataFrame) -> pd.DataFrame:
    """Return the mean RMSE and its interval for each setting and noise variance."""
    merged = _without_noise(finished)
    names = labels.points(merged, NAMES)
    rows = []
    for _, group in merged.groupby(["point_id", "level"]):
        first, found = records(group)[0], mean_interval(group["rmse"].astype(float))
        label = f"{names[first['point_id']]} (P={labels.count(first['num_params'])})"
        where = (label, first["family"], first["level"])
        rows.append((*where, found.count, found.mean, found.low, found.high))
    return pd.DataFrame(rows, columns=COLUMNS)


def _without_noise(finished: pd.DataFrame) -> pd.DataFrame:
    """Give each setting one point_id for all noise variances, which move to the column `level`."""
    merged = finished.assign(level=finished["noise"].astype(float), noise=np.nan)
    merged["config"] = [_bare(text(row, "config")) for row in records(finished)]
    merged["point_id"] = [
        "|".join(str(row.get(name)) for name in (*SAME, "config")) for row in records(merged)
    ]
    return merged


def _bare(config: str) -> str:
    """Remove from a config the noise and `keep_weights`, which do not distinguish lines."""
    parts = json.loads(config or "{}")
    for name in ("noise", "keep_weights"):
        parts.get("task", {}).pop(name, None)
    return json.dumps(parts, sort_keys=True)


def _kept(means: pd.DataFrame) -> list[str]:
    """Return the labels to draw, by family: all up to LINES, otherwise the best of each family."""
    order = list(NAMES)
    # Without noise some errors are only rounding, whose logarithms would dominate the score.
    noisy = means["mean"].where(means["noise"] > 0)
    scores = means.assign(log=np.log(noisy.clip(lower=1e-300)))
    table = scores.groupby("label").agg(
        family=("family", "first"), levels=("noise", "size"), score=("log", "mean")
    )
    if len(table) > LINES:
        complete = table[table["levels"] == table.groupby("family")["levels"].transform("max")]
        table = complete.sort_values("score").drop_duplicates("family")
    ranked = sorted(table.index, key=lambda label: (order.index(table.family[label]), label))
    return [str(label) for label in ranked]


def _lines(ax: Axes, means: pd.DataFrame, kept: list[str]) -> None:
    families = {label: means.loc[means["label"] == label, "family"].iloc[0] for label in kept}
    looks = style.line_styles(families)
    for label, family in families.items():
        line = means[means["label"] == label].sort_values("noise")
        reach = np.nan_to_num([line["mean"] - line["low"], line["high"] - line["mean"]])
        ax.errorbar(
            line["noise"],
            line["mean"],
            yerr=reach,
            label=label,
            capsize=2.5,
            elinewidth=0.9,
            **(style.mark(family) | looks[label]),
        )


def _noise_axis(ax: Axes, levels: list[float]) -> None:
    """Use a log scale for noise variances that span decades, or symlog if 0 is among them."""
    positive = [level for level in levels if level > 0]
    if style.spans_decades(positive, factor=9.0):
        if len(positive) == len(levels):
            ax.set_xscale("log")
        else:
            ax.set_xscale("symlog", linthresh=min(positive))
    if len(levels) <= TICKS:
        ax.set_xticks(levels, [f"{level:g}" for level in levels])
        ax.set_xticks([], minor=True)


def _error_axis(ax: Axes, means: pd.DataFrame) -> str:
    """Use a log scale if errors span decades, and list the errors below the axis.

    Exact fits without noise have errors far below all others.
    """
    positive = means.loc[means["noise"] > 0, "mean"]
    if not style.spans_decades(positive):
        ax.set_ylim(bottom=0)
        return ""
    shown = means.loc[means["mean"] > positive.min() / BELOW, "mean"]
    low, high = float(shown.min()) / 1.6, float(means[["mean", "high"]].max().max()) * 1.5
    ax.set_yscale("log")
    ax.set_ylim(low, high)
    style.log_axis(ax.yaxis, low, high)
    under = records(means[means["mean"] < low])
    texts = [f"{row['label'].partition(' (')[0]} {labels.value(row['mean'])}" for row in under]
    return f"below the axis at noise 0: {', '.join(texts)}" if texts else ""

"""Error of the recovered W against the noise in the data (TR Fig. 6)."""

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
TICKS = 8  # so many noise variances are all marked on the axis
COLUMNS = ["label", "family", "noise", "seeds", "mean", "low", "high"]
BELOW = 30.0  # times smaller than any error under noise: off the axis
# Together with the rest of `config`, what a setting is at every noise variance.
SAME = ("family", "core_order", "in_modes", "out_modes", "ranks", "plan", "num_params")


def rmse_vs_noise(runs: pd.DataFrame) -> Figure:
    """RMSE of W against noise variance, with 95% t intervals over seeds.

    One line per setting of the layer; of more than 8 settings the best of each decomposition,
    which has the least geometric mean of RMSE over the positive noise variances.

    Raises ValueError for fewer than two noise variances, or runs that cannot be compared.
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
    """Mean RMSE and its interval per setting and noise variance."""
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
    """The runs with one point_id over all noise variances, which move to the column `level`."""
    merged = finished.assign(level=finished["noise"].astype(float), noise=np.nan)
    merged["config"] = [_bare(text(row, "config")) for row in records(finished)]
    merged["point_id"] = [
        "|".join(str(row.get(name)) for name in (*SAME, "config")) for row in records(merged)
    ]
    return merged


def _bare(config: str) -> str:
    """A config without the noise and what is stored of a run: they tell no lines apart."""
    parts = json.loads(config or "{}")
    for name in ("noise", "keep_weights"):
        parts.get("task", {}).pop(name, None)
    return json.dumps(parts, sort_keys=True)


def _kept(means: pd.DataFrame) -> list[str]:
    """Labels in the order of families: all up to LINES, else the best of each family."""
    order = list(NAMES)
    # Without noise some errors are mere rounding, whose logarithm would decide alone.
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
    """The noise variances on a log scale where that serves, zero included."""
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
    """A log scale where it serves; what lies below it, as an exact fit without noise does."""
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

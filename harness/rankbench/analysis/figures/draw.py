"""Draw the digits that DRAW generates with each encoder, and its negative ELBO over epochs."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from PIL import Image

from rankbench.analysis.figures import style
from rankbench.analysis.names import NAMES
from rankbench.analysis.stats.intervals import mean_interval, mean_intervals
from rankbench.analysis.summaries import labels
from rankbench.analysis.summaries.rows import (
    Row,
    done,
    left_out,
    one_condition,
    records,
    seed_note,
    varying,
)
from rankbench.common.text import ratio
from rankbench.data.images.digits import SHIPPED

SHEET = "samples.png"
MOST = 12  # The largest number of models to show.
COLUMNS = 4
# Upper bounds in nats that DRAW reports for binarised MNIST after long training (its Table 2).
ANCHORS = {"DRAW as published, no attention": 87.40, "DRAW as published, with attention": 80.97}
PIXELS = {
    "sample": "pixels drawn once by their brightness",
    "threshold": "pixels above one half are 1",
}


def samples(runs: pd.DataFrame, artifacts: pd.DataFrame) -> Figure:
    """Draw the digits that each model generates from the same latents (BT Fig. 7).

    Parameters and nats are below each sheet. A model shows the samples of its lowest seed and the
    nats over all its seeds.

    Args:
        runs: Rows of the `runs` table.
        artifacts: The files of runs, with the columns `run_id`, `name` and `content`.

    Raises:
        ValueError: If no finished run has samples, a file is damaged, or the runs are not
            comparable.
    """
    finished = _drawn(runs, "samples")
    files = artifacts.loc[artifacts["name"] == SHEET].set_index("run_id")["content"]
    kept = finished[finished["run_id"].isin(files.index)]
    if kept.empty:
        raise ValueError("samples: no finished run has left samples.png")
    names = labels.points(kept)
    firsts = kept.sort_values("seed", kind="stable").drop_duplicates("point_id")
    shown = records(_ordered(firsts))[:MOST]
    with style.house():
        columns = min(COLUMNS, len(shown))
        rows = math.ceil(len(shown) / columns)
        figure = style.new(0.2 + 2.6 * columns, 0.4 + 3.2 * rows)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for ax in axes:
            ax.set_axis_off()
        for ax, row in zip(axes, shown, strict=False):
            ax.imshow(_picture(files[row["run_id"]], row["run_id"]), cmap="gray", vmin=0, vmax=255)
            ax.set_title(names[row["point_id"]])
            own = finished[finished["point_id"] == row["point_id"]]
            ax.text(0.5, -0.02, _said(own), transform=ax.transAxes, ha="center", va="top")
        more = f"{MOST} of {len(firsts)} models" if len(firsts) > MOST else ""
        counts = finished.groupby("point_id").size().rename("seeds").to_frame()
        notes = [
            _protocol(finished),
            seed_note(counts),
            "latents are the same for all models",
            more,
        ]
        style.caption(figure, [*notes, left_out(finished, runs)])
    return figure


def nats(runs: pd.DataFrame, epochs: pd.DataFrame) -> Figure:
    """Draw the negative ELBO of the test images after each epoch, a line per model.

    Bands are 95% t intervals over seeds. A model with a single seed has instead a bar at its last
    epoch, the interval over test images. Dashed lines show what DRAW reports after long training.

    Args:
        runs: Rows of the `runs` table.
        epochs: Rows of the `epochs` table.

    Raises:
        ValueError: If no finished run has a curve, or the runs are not comparable.
    """
    finished = _drawn(runs, "nats")
    known = epochs.dropna(subset=["nelbo_nats"])
    kept = _ordered(finished[finished["run_id"].isin(known["run_id"])])
    if kept.empty:
        raise ValueError("nats: no finished run has a curve")
    names = labels.points(kept)
    families = dict(zip(kept["point_id"].map(names), kept["family"], strict=True))
    looks = style.line_styles(families)
    curves = kept[["run_id", "point_id"]].merge(known, on="run_id")
    with style.house():
        figure = style.new(6.4, 4.2)
        ax = figure.subplots()
        for point, own in curves.groupby("point_id", sort=False):
            look = looks[names[str(point)]]
            _curve(ax, own, names[str(point)], look)
            _last(ax, kept[kept["point_id"] == point], look["color"])
        if kept["dataset"].iloc[0] != SHIPPED:
            _anchors(ax)
        ax.set_xlim(0.5, curves["epoch"].max() + 0.5)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        style.name_axes(ax, x="epoch", y="negative ELBO of a test image (nats)")
        ax.legend()
        counts = kept.groupby("point_id").size().rename("seeds").to_frame()
        notes = [_protocol(kept), seed_note(counts), _bars(counts)]
        style.caption(figure, [*notes, left_out(kept, runs)])
    return figure


def _ordered(runs: pd.DataFrame) -> pd.DataFrame:
    """Sort the runs by family, dense encoder first, and by parameters."""
    placed = runs.assign(place=runs["family"].map(list(NAMES).index))
    return placed.sort_values(["place", "num_params"], kind="stable")


def _anchors(ax: Axes) -> None:
    for name, level in ANCHORS.items():
        ax.axhline(level, color="#555555", lw=0.9, ls=(0, (4, 2)))
        ax.annotate(
            name,
            (0.99, level),
            xycoords=ax.get_yaxis_transform(),
            xytext=(0, style.points(2)),
            textcoords="offset points",
            ha="right",
            va="bottom",
            fontsize=style.SMALL,
        )


def _drawn(runs: pd.DataFrame, figure: str) -> pd.DataFrame:
    finished = done(runs, figure, "point_id", "num_params", "nelbo_nats")
    one_condition(finished, figure)
    return finished


def _picture(content: bytes, run_id: str) -> NDArray[np.uint8]:
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            return np.asarray(picture.convert("L"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"samples: {SHEET} of run {run_id} is not a whole PNG") from error


def _said(own: pd.DataFrame) -> str:
    """Return the two lines below a sheet: parameters and compression, nats with ± over seeds."""
    first = records(own)[0]
    size = f"{labels.count(first['num_params'])} parameters"
    if first["family"] != "dense":
        size += f", {ratio(first['compression_ratio'])} fewer"
    found = mean_interval(own["nelbo_nats"].astype(float))
    if found.count == 1:
        return f"{size}\n{found.mean:.1f} nats"
    return f"{size}\n{found.mean:.1f} ± {found.high - found.mean:.1f} nats"


def _curve(ax: Axes, own: pd.DataFrame, name: str, look: dict[str, Any]) -> None:
    found = mean_intervals(own["nelbo_nats"], own["epoch"])
    marked: dict[str, Any] = {"marker": "o", "ms": style.points(3)} if len(found) < 12 else {}
    ax.plot(found.index, found["mean"], label=name, **look, **marked)
    spread = found.dropna()
    ax.fill_between(
        spread.index, spread["low"], spread["high"], color=look["color"], alpha=0.15, lw=0
    )


def _last(ax: Axes, runs: pd.DataFrame, colour: Any) -> None:
    """Draw the interval over test images of a single run, at its last epoch."""
    if len(runs) > 1:
        return
    row = records(runs)[0]
    ax.vlines(row["epochs"], row["nelbo_low_nats"], row["nelbo_high_nats"], colors=[colour], lw=1.2)


def _bars(counts: pd.DataFrame) -> str:
    return "bar: 95% interval over the test images" if counts["seeds"].min() == 1 else ""


def _protocol(rows: pd.DataFrame) -> str:
    """Describe for a caption what the runs share: data, glimpses, attention, epochs."""
    first: Row = records(rows)[0]
    words = [str(first["dataset"]), PIXELS[str(first["binarise"])]]
    if not varying(rows, ["glimpses"]):
        words.append(f"{first['glimpses']} glimpses")
    if not varying(rows, ["attention"]):
        words.append("with attention" if first["attention"] else "no attention")
    if not varying(rows, ["epochs"]):
        many = "s" if first["epochs"] > 1 else ""
        words.append(f"{first['epochs']} epoch{many}")
    return ", ".join(words)

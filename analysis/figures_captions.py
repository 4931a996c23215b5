"""Captioning models beside each other: their scores, and what they write (BT Fig. 8)."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.image as mpimg
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import labels, style
from analysis.captions import SCORES, captioned, scores
from analysis.models import model_order
from analysis.rows import evenly, left_out, records
from harness.data.caption_sets import load_captions
from harness.data.sets import names

SHOWN = 6  # images of a figure
PHOTOS = "RANKBENCH_IMAGES"  # names the folder of the images, to have them beside their sentences
_PANELS = ("perplexity", "bleu_1", "bleu_4", "cider")
_LINE = 46  # characters of a sentence before it is broken


def captions(runs: pd.DataFrame) -> Figure:
    """Perplexity, BLEU-1, BLEU-4 and CIDEr of every model.

    Small marks are runs, large ones means, bars 95% t intervals over seeds.

    Raises ValueError where no finished run captions.
    """
    kept, table = captioned(runs, "captions"), scores(runs)
    models = model_order(kept)
    with style.house():
        figure = style.new(10.0, 1.5 + 0.42 * len(models))
        for ax, column in zip(figure.subplots(1, 4, sharey=True), _PANELS, strict=True):
            _panel(ax, table[table["score"] == column], kept, column)
        figure.axes[0].set_yticks(range(len(models)), _names(table))
        figure.axes[0].set_ylim(len(models) - 0.5, -0.5)
        figure.suptitle(f"Captions of {kept['dataset'].iloc[0]}", fontsize=style.FONT + 1)
        seeds = kept["seed"].nunique()
        notes = [f"{seeds} seeds, bar: 95% t interval of the mean" if seeds > 1 else "one seed"]
        style.caption(figure, [*notes, "in brackets: parameters", left_out(kept, runs)])
    return figure


def _names(table: pd.DataFrame) -> list[str]:
    firsts = table.drop_duplicates("model")
    return [f"{row['model']} ({labels.count(row['num_params'])})" for row in records(firsts)]


def _panel(ax: Axes, table: pd.DataFrame, kept: pd.DataFrame, column: str) -> None:
    for y, row in enumerate(records(table)):
        look = style.mark(row["family"], 7)
        values = kept.loc[kept["model"] == row["model"], column].astype(float)
        small = {"color": look["color"], "ms": 3, "alpha": 0.6, "ls": "", "marker": "o"}
        ax.plot(values, np.full(len(values), y + 0.24), **small)
        if row["low"] == row["low"]:
            ax.plot([row["low"], row["high"]], [y, y], color=look["color"], lw=2.2, alpha=0.7)
        ax.plot([row["mean"]], [y], ls="", markeredgecolor="white", mew=0.5, **look)
    ax.grid(visible=False, axis="y")
    ax.margins(x=0.12)
    better = "less is better" if column == "perplexity" else "more is better"
    ax.set_xlabel(f"{SCORES[column]}\n({better})")


def sentences_here(runs: pd.DataFrame, written: pd.DataFrame) -> Figure:
    """`sentences`, with photos and references where $RANKBENCH_IMAGES names a folder of images."""
    folder = os.environ.get(PHOTOS)
    if not folder:
        return sentences(runs, written)
    dataset = str(captioned(runs, "sentences")["dataset"].iloc[0])
    told: dict[str, Sequence[str]] = {}
    if dataset in names():
        data = load_captions(dataset)
        told = dict(zip(data.images, data.captions, strict=True))
    return sentences(runs, written, Path(folder).expanduser(), told)


def sentences(
    runs: pd.DataFrame,
    written: pd.DataFrame,
    photos: Path | None = None,
    references: Mapping[str, Sequence[str]] | None = None,
) -> Figure:
    """What every model writes on the same images (BT Fig. 8), by its first seed and first beam.

    `photos`: a folder; images are chosen from those there are in it. `references`: by image, of
    which two are shown below.

    Raises ValueError where nothing is written, or no image of it is in the folder.
    """
    kept = captioned(runs, "sentences").sort_values("seed").drop_duplicates("model")
    said = _said(kept, written)
    images = list(said.columns)
    if photos is not None:
        images = [image for image in images if (photos / image).is_file()]
        if not images:
            raise ValueError(f"sentences: {PHOTOS}={photos} holds none of the test images")
    chosen = evenly(images, SHOWN)
    with style.house():
        figure = style.new(10.0, 0.5 + (2.3 if photos else 1.65) * ((len(chosen) + 1) // 2))
        grid = figure.subplots((len(chosen) + 1) // 2, 2, squeeze=False)
        for ax in grid.flat:
            ax.axis("off")
        for ax, image in zip(grid.flat, chosen, strict=False):
            own = list((references or {}).get(image, ()))[:2]
            _card(ax, image, kept, said[image], photos / image if photos else None, own)
        how = f"beams of {kept['beam'].iloc[0]}, seed {kept['seed'].iloc[0]}"
        style.caption(figure, [f"test images of {kept['dataset'].iloc[0]}, evenly spread", how])
    return figure


def _said(kept: pd.DataFrame, written: pd.DataFrame) -> pd.DataFrame:
    """Sentences: a row a model in order, a column an image that all have one of."""
    here = written.merge(kept[["run_id", "model", "beam"]], on=["run_id", "beam"])
    if here.empty:
        raise ValueError("sentences: the runs have stored no sentence")
    table = here.pivot_table("sentence", "model", "image_id", aggfunc="first")
    found: pd.DataFrame = table.loc[model_order(kept[kept["model"].isin(table.index)])]
    return found.dropna(axis="columns")


def _card(
    ax: Axes,
    image: str,
    kept: pd.DataFrame,
    said: pd.Series[str],
    photo: Path | None,
    references: Sequence[str],
) -> None:
    left, width = 0.0, _LINE + 18
    if photo is not None:
        inset = ax.inset_axes((0.0, 0.0, 0.34, 1.0))
        inset.imshow(mpimg.imread(photo))
        inset.axis("off")
        left, width = 0.37, _LINE
    ax.set_title(image, fontsize=style.SMALL, color="#777777", loc="left", pad=2)
    families = dict(zip(kept["model"], kept["family"], strict=True))
    lines = [
        (str(model), text, style.COLOURS[families[str(model)]]) for model, text in said.items()
    ]
    lines += [("people", text, "#777777") for text in references]
    y = 0.98
    for name, text, colour in lines:
        shown = textwrap.fill(f"{name}: {text}", width)
        ax.text(left, y, shown, transform=ax.transAxes, va="top", color=colour, fontsize=8)
        y -= 0.135 * (1 + shown.count("\n"))

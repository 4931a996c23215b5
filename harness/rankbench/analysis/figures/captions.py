"""Compare captioning models: their scores and the sentences they write (BT Fig. 8)."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.image as mpimg
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rankbench.analysis.figures import style
from rankbench.analysis.summaries import labels
from rankbench.analysis.summaries.captions import SCORES, captioned, scores
from rankbench.analysis.summaries.models import model_order
from rankbench.analysis.summaries.rows import evenly, left_out, records
from rankbench.data.images.caption_sets import load_captions
from rankbench.data.sets.catalog import names

SHOWN = 6  # The number of images in a figure.
# The environment variable with the folder of the images, to show them beside their sentences.
PHOTOS = "RANKBENCH_IMAGES"
_PANELS = ("perplexity", "bleu_1", "bleu_4", "cider")
_WIDTH = 68  # Sentences wrap at this many characters.
_POINTS = 11.5  # The height of a line of text in points.
_PHOTO = 120.0  # The smallest height of a photo in points.

Line = tuple[str, str]


def captions(runs: pd.DataFrame) -> Figure:
    """Draw perplexity, BLEU-1, BLEU-4 and CIDEr-D of every model.

    Small marks are runs, large marks means, bars 95% t intervals over seeds.

    Args:
        runs: Rows of the `runs` table.

    Raises:
        ValueError: If no finished run captions images.
    """
    kept, table = captioned(runs, "captions"), scores(runs)
    models = model_order(kept)
    with style.house():
        figure = style.new(10.0, 1.5 + 0.42 * len(models))
        for ax, column in zip(figure.subplots(1, 4, sharey=True), _PANELS, strict=True):
            _panel(ax, table[table["score"] == column], kept, column)
        figure.axes[0].set_yticks(range(len(models)), _names(table))
        figure.axes[0].set_ylim(len(models) - 0.5, -0.5)
        figure.suptitle(f"Captions of {kept['dataset'].iloc[0]}")
        least, most = int(table["runs"].min()), int(table["runs"].max())
        span = f"{most}" if least == most else f"{least} to {most}"
        notes = [f"{span} seeds, bar: 95% t interval of the mean" if most > 1 else "one seed"]
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


def sentences(runs: pd.DataFrame, written: pd.DataFrame) -> Figure:
    """Draw the sentences, with photos and references if $RANKBENCH_IMAGES names a folder.

    Args:
        runs: Rows of the `runs` table.
        written: Rows of the `sentences` table.

    Raises:
        ValueError: If no sentence is stored, or the folder holds none of the images.
    """
    folder = os.environ.get(PHOTOS)
    if not folder:
        return sentences_of(runs, written)
    dataset = str(captioned(runs, "sentences")["dataset"].iloc[0])
    told: dict[str, Sequence[str]] = {}
    if dataset in names():
        data = load_captions(dataset)
        told = dict(zip(data.images, data.captions, strict=True))
    return sentences_of(runs, written, Path(folder).expanduser(), told)


def sentences_of(
    runs: pd.DataFrame,
    written: pd.DataFrame,
    photos: Path | None = None,
    references: Mapping[str, Sequence[str]] | None = None,
) -> Figure:
    """Draw what every model writes about the same images (BT Fig. 8).

    Each model is represented by its run with the lowest seed and by that run's beam width.

    Args:
        runs: Rows of the `runs` table.
        written: Rows of the `sentences` table.
        photos: A folder of photos. Only images that are in it are shown.
        references: Sentences that people wrote, by image. The first two are shown.

    Raises:
        ValueError: If no sentence is stored, or the folder holds none of the images.
    """
    kept = captioned(runs, "sentences").sort_values("seed").drop_duplicates("model")
    said = _said(kept, written)
    images = list(said.columns)
    if photos is not None:
        images = [image for image in images if (photos / image).is_file()]
        if not images:
            raise ValueError(f"sentences: {PHOTOS}={photos} holds none of the test images")
    chosen = evenly(images, SHOWN)
    cards = [
        _lines(kept, said[image], (references or {}).get(image, ()), photos) for image in chosen
    ]
    tall = [_row_points(cards[at : at + 2], photos) for at in range(0, len(cards), 2)]
    with style.house():
        figure = style.new(10.0, 0.4 + sum(tall) / 72)
        grid = figure.subplots(len(tall), 2, squeeze=False, height_ratios=tall)
        for ax in grid.flat:
            ax.axis("off")
        for ax, image, card in zip(grid.flat, chosen, cards, strict=False):
            _card(ax, image, card, photos)
        how = f"beams of {kept['beam'].iloc[0]}, seed {kept['seed'].iloc[0]}"
        style.caption(figure, [f"test images of {kept['dataset'].iloc[0]}, evenly spread", how])
    return figure


def _said(kept: pd.DataFrame, written: pd.DataFrame) -> pd.DataFrame:
    """Return sentences: a row per model in order, a column per image that all models captioned."""
    here = written.merge(kept[["run_id", "model", "beam"]], on=["run_id", "beam"])
    if here.empty:
        raise ValueError("sentences: the runs have stored no sentence")
    table = here.pivot_table("sentence", "model", "image_id", aggfunc="first")
    found: pd.DataFrame = table.loc[model_order(kept[kept["model"].isin(table.index)])]
    return found.dropna(axis="columns")


def _lines(
    kept: pd.DataFrame, said: pd.Series[str], references: Sequence[str], photos: Path | None
) -> list[Line]:
    """Return wrapped text and colour of what models and people write about an image."""
    families = dict(zip(kept["model"], kept["family"], strict=True))
    found = [(f"{model}: {text}", style.COLOURS[families[model]]) for model, text in said.items()]
    found += [(f"people: {text}", "#777777") for text in list(references)[:2]]
    width = _WIDTH - 22 if photos else _WIDTH
    return [(textwrap.fill(text, width), colour) for text, colour in found]


def _points(line: Line) -> float:
    """Return the height of a text and the gap below it, in points."""
    return _POINTS * (1.3 + line[0].count("\n"))


def _row_points(cards: Sequence[Sequence[Line]], photos: Path | None) -> float:
    """Return the height of a row of cards, titles included, in points."""
    texts = max(sum(map(_points, card)) for card in cards)
    return max(texts, _PHOTO if photos else 0.0) + 2.5 * _POINTS


def _card(ax: Axes, image: str, lines: Sequence[Line], photos: Path | None) -> None:
    left, y = 0.0, 0.0
    if photos is not None:
        inset = ax.inset_axes((0.0, 0.0, 0.34, 1.0), anchor="NW")
        inset.imshow(mpimg.imread(photos / image))
        inset.axis("off")
        left = 0.37
    ax.set_title(image, fontsize=style.SMALL, color="#777777", loc="left", pad=2)
    for text, colour in lines:
        offset: dict[str, Any] = {
            "xytext": (0, -style.points(y)),
            "textcoords": "offset points",
            "va": "top",
        }
        look: dict[str, Any] = {"color": colour, "fontsize": style.points(8), "linespacing": 1.2}
        ax.annotate(text, (left, 0.99), xycoords="axes fraction", **offset, **look)
        y += _points((text, colour))

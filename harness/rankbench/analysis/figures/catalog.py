"""List every figure with the studies it applies to; draw and save all figures of a study."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure

from rankbench.analysis.figures import style
from rankbench.analysis.figures.accuracy import accuracy_vs_parameters
from rankbench.analysis.figures.action import curves_by_split
from rankbench.analysis.figures.bench import time_vs_parameters
from rankbench.analysis.figures.budget import budget
from rankbench.analysis.figures.captions import captions, sentences
from rankbench.analysis.figures.complexity import complexity
from rankbench.analysis.figures.convergence import epochs_to_accuracy
from rankbench.analysis.figures.curves import curves
from rankbench.analysis.figures.draw import nats, samples
from rankbench.analysis.figures.drawable import (
    Frames,
    finished,
    has_captions,
    has_choice,
    has_contenders,
    has_counts,
    has_curves,
    has_curves_by_split,
    has_drawn,
    has_features,
    has_knobs,
    has_levels,
    has_nats,
    has_noises,
    has_objectives,
    has_ranks_beyond,
    has_rivals,
    has_samples,
    has_sentences,
    has_sizes,
    has_splits,
    has_sweeps,
    has_weights,
    of_runs,
)
from rankbench.analysis.figures.effects import importance, interactions
from rankbench.analysis.figures.features import features
from rankbench.analysis.figures.noise import rmse_vs_noise
from rankbench.analysis.figures.parameter_counts import parameters
from rankbench.analysis.figures.pareto import pareto
from rankbench.analysis.figures.permutation import permutation
from rankbench.analysis.figures.rank_bound import rank_bound
from rankbench.analysis.figures.recovery import noise_picture, recovered
from rankbench.analysis.figures.sensitivity import sensitivity
from rankbench.analysis.figures.splits import splits
from rankbench.analysis.figures.timing import timing
from rankbench.analysis.figures.to_frame import data_of
from rankbench.analysis.figures.trade_off import trade_off
from rankbench.analysis.summaries.budgets import has_budgets
from rankbench.analysis.summaries.complexity import QUANTITIES
from rankbench.analysis.summaries.effects import has_effects
from rankbench.analysis.summaries.importances import has_importances
from rankbench.analysis.summaries.permutations import has_orders
from rankbench.analysis.summaries.rows import CONDITIONS, varying
from rankbench.store.artifacts import COLUMNS, Artifacts
from rankbench.store.query import load
from rankbench.store.schema import TABLES

SUFFIXES = (".png", ".pdf", ".csv")  # The files that `save` writes for a figure.


@dataclass(frozen=True)
class Drawing:
    """A kind of figure and the studies that it applies to."""

    function: Callable[..., Figure]
    """Draws the figure, given the `tables`."""
    tables: tuple[str, ...]
    """The names of the tables to pass, in order."""
    applies: Callable[[Frames], bool]
    """Whether a study, given as tables by name, has the data to draw."""
    together: bool = False
    """Whether one figure can show runs with different targets, splits and sizes.

    If not (the default), each of these conditions gets a figure of its own.
    """


FIGURES: dict[str, Drawing] = {
    "parameters": Drawing(parameters, ("runs",), has_counts, together=True),
    "rank_bound": Drawing(rank_bound, ("runs",), has_ranks_beyond, together=True),
    "recovered": Drawing(recovered, ("runs", "weights"), has_weights),
    "noise_picture": Drawing(noise_picture, ("runs", "weights"), has_rivals),
    "rmse_vs_noise": Drawing(rmse_vs_noise, ("runs",), has_noises),
    "curves": Drawing(curves, ("runs", "epochs"), has_curves),
    "curves_by_split": Drawing(
        curves_by_split, ("runs", "epochs"), has_curves_by_split, together=True
    ),
    "accuracy_vs_parameters": Drawing(accuracy_vs_parameters, ("runs",), has_sizes, together=True),
    "splits": Drawing(splits, ("runs",), has_splits, together=True),
    "epochs_to_accuracy": Drawing(
        epochs_to_accuracy, ("runs", "epochs"), has_levels, together=True
    ),
    "features": Drawing(features, ("runs", "epochs"), has_features, together=True),
    "nats": Drawing(nats, ("runs", "epochs"), has_nats),
    "samples": Drawing(samples, ("runs", "artifacts"), has_drawn),
    "sensitivity": Drawing(sensitivity, ("runs",), has_knobs),
    "interactions": Drawing(interactions, ("runs",), of_runs(has_effects), together=True),
    "importance": Drawing(importance, ("runs",), of_runs(has_importances), together=True),
    "trade_off": Drawing(trade_off, ("runs",), has_choice),
    "pareto": Drawing(pareto, ("runs",), has_objectives),
    "captions": Drawing(captions, ("runs",), has_captions, together=True),
    "sentences": Drawing(sentences, ("runs", "sentences"), has_sentences, together=True),
    "budget": Drawing(budget, ("runs",), of_runs(has_budgets), together=True),
    "permutation": Drawing(permutation, ("runs",), of_runs(has_orders), together=True),
    "timing": Drawing(timing, ("runs", "samples"), has_samples, together=True),
    "time_vs_parameters": Drawing(time_vs_parameters, ("runs",), has_contenders, together=True),
    **{
        f"complexity_{name}": Drawing(
            functools.partial(complexity, quantity=name),
            ("runs", "samples"),
            functools.partial(has_sweeps, quantity=name),
            together=True,
        )
        for name in QUANTITIES
    },
}


def draw(study: str, root: Path | str = "results") -> dict[str, Figure]:
    """Draw every figure that the results of a study allow.

    Runs that are not comparable (different targets, splits or sizes) get separate figures, named
    figure_value.

    Args:
        study: The name of the study.
        root: The results folder or URL.

    Returns:
        Figures by name.

    Raises:
        ValueError: If the study has no results or nothing to draw.
    """
    frames = _frames(study, root)
    figures = {key: figure for name in FIGURES for key, figure in _drawn(name, frames).items()}
    if not figures:
        raise ValueError(f"study {study!r} has nothing to draw: {_there_is(frames)}")
    return figures


def draw_named(name: str, study: str, root: Path | str = "results") -> list[Figure]:
    """Draw one kind of figure, once per target, split or size if those vary.

    Args:
        name: A key of FIGURES.
        study: The name of the study.
        root: The results folder or URL.

    Raises:
        ValueError: If the study has no results.
    """
    return list(_drawn(name, _frames(study, root)).values())


def _frames(study: str, root: Path | str) -> Frames:
    frames = {table: load(study, table, root) for table in TABLES}
    frames["artifacts"] = pd.DataFrame(Artifacts(root, study).read(), columns=list(COLUMNS))
    return frames


def _drawn(name: str, frames: Frames) -> dict[str, Figure]:
    """Draw the figure `name` for each condition that allows it; names include the condition."""
    drawing = FIGURES[name]
    parts = {"": frames} if drawing.together else _by_condition(frames)
    return {
        name + suffix: drawing.function(*(part[table] for table in drawing.tables))
        for suffix, part in parts.items()
        if drawing.applies(part)
    }


def save(figures: dict[str, Figure], folder: Path) -> list[Path]:
    """Write every figure as NAME.png and NAME.pdf, and the data it shows as NAME.csv.

    The bytes are reproducible: the same figure always gives the same files.

    Args:
        figures: Figures by name.
        folder: The folder to write to; it is created if missing.

    Returns:
        The paths of the files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in figures.items():
        _print(figure, folder / f"{name}.png", folder / f"{name}.pdf")
        data_of(figure).to_csv(folder / f"{name}.csv", index=False)
        paths += [folder / f"{name}{suffix}" for suffix in SUFFIXES]
    return paths


def _print(figure: Figure, png: Path, pdf: Path) -> None:
    """Write `figure` as `savefig` would, but compute its layout only once to save time."""
    dpi = figure.dpi
    with style.house(figure):
        figure.set_dpi(style.PNG_DPI)
        FigureCanvasAgg(figure).print_png(png)  # type: ignore[no-untyped-call]
        # Keep the layout for the PDF: computing it takes as long as drawing.
        figure.set_layout_engine("none")
        # Without a creation date the bytes are reproducible.
        canvas = FigureCanvasPdf(figure)
        canvas.print_pdf(pdf, metadata={"CreationDate": None})  # type: ignore[no-untyped-call]
    figure.set_dpi(dpi)


def _by_condition(frames: Frames) -> dict[str, Frames]:
    """Split the runs by the conditions that vary, and return the tables by a suffix for names."""
    runs = frames["runs"]
    apart = varying(finished(frames, "run_id"), CONDITIONS)
    if not apart:
        return {"": frames}
    parts = {}
    for values, rows in runs.groupby(apart, dropna=False):
        words = [re.sub(r"[^A-Za-z0-9_.-]+", "-", str(value)) for value in values]
        parts["_" + "_".join(words)] = frames | {"runs": rows}
    return parts


def _there_is(frames: Frames) -> str:
    statuses = frames["runs"]["status"]
    counts = [f"{count} {status}" for status, count in statuses.value_counts().items()]
    return f"{len(statuses)} runs ({', '.join(counts)})" if counts else "no runs"

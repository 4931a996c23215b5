"""Every figure, which studies it applies to, and drawing and saving all of a study's."""

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

SUFFIXES = (".png", ".pdf", ".csv")  # of the files of a figure


@dataclass(frozen=True)
class Drawing:
    """A figure: the function, the tables it takes, and whether a study has what it draws.

    `together`: whether one figure serves runs of several targets, splits and sizes.
    """

    function: Callable[..., Figure]
    tables: tuple[str, ...]
    applies: Callable[[Frames], bool]
    together: bool = False


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
    """Every figure that the results of `study` allow, by name.

    Runs that cannot be compared (targets, splits, sizes) get figures of their own, named
    figure_value.

    Raises ValueError for a study without results, and for one with nothing to draw.
    """
    frames = _frames(study, root)
    figures = {key: figure for name in FIGURES for key, figure in _drawn(name, frames).items()}
    if not figures:
        raise ValueError(f"study {study!r} has nothing to draw: {_there_is(frames)}")
    return figures


def draw_named(name: str, study: str, root: Path | str = "results") -> list[Figure]:
    """The figure `name` of `study`, once per target, split or size where those vary.

    Raises ValueError for a study without results.
    """
    return list(_drawn(name, _frames(study, root)).values())


def _frames(study: str, root: Path | str) -> Frames:
    frames = {table: load(study, table, root) for table in TABLES}
    frames["artifacts"] = pd.DataFrame(Artifacts(root, study).read(), columns=list(COLUMNS))
    return frames


def _drawn(name: str, frames: Frames) -> dict[str, Figure]:
    """The figure `name` by its name and condition, as often as the frames allow it."""
    drawing = FIGURES[name]
    parts = {"": frames} if drawing.together else _by_condition(frames)
    return {
        name + suffix: drawing.function(*(part[table] for table in drawing.tables))
        for suffix, part in parts.items()
        if drawing.applies(part)
    }


def save(figures: dict[str, Figure], folder: Path) -> list[Path]:
    """Write every figure into `folder` as NAME.png, NAME.pdf and NAME.csv, what it shows.

    Returns the paths. The same figure gives the same bytes again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in figures.items():
        _print(figure, folder / f"{name}.png", folder / f"{name}.pdf")
        data_of(figure).to_csv(folder / f"{name}.csv", index=False)
        paths += [folder / f"{name}{suffix}" for suffix in SUFFIXES]
    return paths


def _print(figure: Figure, png: Path, pdf: Path) -> None:
    """Write `figure` as it would be by `savefig`, which draws twice what takes its time."""
    dpi = figure.dpi
    with style.house(figure):
        figure.set_dpi(style.PNG_DPI)
        FigureCanvasAgg(figure).print_png(png)  # type: ignore[no-untyped-call]
        # Where things are is worked out once: it takes as long as drawing them.
        figure.set_layout_engine("none")
        # Else the file would hold the moment it was written at.
        canvas = FigureCanvasPdf(figure)
        canvas.print_pdf(pdf, metadata={"CreationDate": None})  # type: ignore[no-untyped-call]
    figure.set_dpi(dpi)


def _by_condition(frames: Frames) -> dict[str, Frames]:
    """The frames once per value of the conditions that vary, by a suffix for names."""
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

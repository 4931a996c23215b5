"""Every figure, which studies it applies to, and drawing and saving all of a study's."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from analysis import style
from analysis.figures_bench import time_vs_parameters
from analysis.figures_counts import has_core_orders, parameters
from analysis.figures_curves import RIGHT, curves
from analysis.figures_noise import rmse_vs_noise
from analysis.figures_recovery import noise_picture, recovered
from analysis.figures_timing import PHASES, timing
from analysis.figures_tradeoff import LEARNED, trade_off
from analysis.rows import CONDITIONS, several, varying
from harness.bench.contenders import SAME
from harness.query import load
from harness.schema import TABLES

# What a file would otherwise hold of the moment and the program that wrote it.
FORMATS: dict[str, dict[str, None]] = {".png": {}, ".pdf": {"CreationDate": None}}
Frames = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Drawing:
    """A figure: the function, the tables it takes, and whether a study has what it draws.

    `together`: whether one figure serves runs of several targets, splits and sizes.
    """

    function: Callable[..., Figure]
    tables: tuple[str, ...]
    applies: Callable[[Frames], bool]
    together: bool = False


def _finished(frames: Frames, column: str) -> pd.DataFrame:
    """The finished runs with a value in `column`."""
    runs = frames["runs"]
    return runs[(runs["status"] == "done").fillna(False) & runs[column].notna()]


def _has_rows_in(frames: Frames, table: str, column: str = "run_id") -> bool:
    """Whether a finished run has rows of `table` with a value in `column`."""
    known = frames[table].dropna(subset=[column])["run_id"]
    return bool(_finished(frames, "run_id")["run_id"].isin(known).any())


def _has_counts(frames: Frames) -> bool:
    return has_core_orders(frames["runs"])


def _has_weights(frames: Frames) -> bool:
    weights = frames["weights"]
    kept = weights.loc[weights["name"] == "recovered", "run_id"]
    return bool(_finished(frames, "rmse")["run_id"].isin(kept).any())


def _has_rivals(frames: Frames) -> bool:
    kinds = _finished(frames, "rmse")[["decomposition", "learner"]]
    return _has_weights(frames) and len(kinds.drop_duplicates()) > 1


def _has_noises(frames: Frames) -> bool:
    return several(_finished(frames, "rmse")["noise"])


def _has_curves(frames: Frames) -> bool:
    return any(_has_rows_in(frames, "epochs", column) for column in RIGHT)


def _has_choice(frames: Frames) -> bool:
    return any(several(_finished(frames, column)["num_params"]) for column in LEARNED)


def _has_samples(frames: Frames) -> bool:
    samples = frames["samples"]
    return _has_rows_in({**frames, "samples": samples[samples["phase"].isin(PHASES)]}, "samples")


def _has_contenders(frames: Frames) -> bool:
    runs = _finished(frames, "step_ms")
    return bool((runs["computes"] == SAME).any())


FIGURES: dict[str, Drawing] = {
    "parameters": Drawing(parameters, ("runs",), _has_counts, together=True),
    "recovered": Drawing(recovered, ("runs", "weights"), _has_weights),
    "noise_picture": Drawing(noise_picture, ("runs", "weights"), _has_rivals),
    "rmse_vs_noise": Drawing(rmse_vs_noise, ("runs",), _has_noises),
    "curves": Drawing(curves, ("runs", "epochs"), _has_curves),
    "trade_off": Drawing(trade_off, ("runs",), _has_choice),
    "timing": Drawing(timing, ("runs", "samples"), _has_samples, together=True),
    "time_vs_parameters": Drawing(time_vs_parameters, ("runs",), _has_contenders, together=True),
}


def draw(study: str, root: Path | str = "results") -> dict[str, Figure]:
    """Every figure that the results of `study` allow, by name.

    Runs that cannot be compared (targets, splits, sizes) get figures of their own, named
    figure_value.

    Raises ValueError for a study without results, and for one with nothing to draw.
    """
    frames = {table: load(study, table, root) for table in TABLES}
    figures = {}
    for name, drawing in FIGURES.items():
        parts = {"": frames} if drawing.together else _by_condition(frames)
        for suffix, part in parts.items():
            if drawing.applies(part):
                figures[name + suffix] = drawing.function(*(part[t] for t in drawing.tables))
    if not figures:
        raise ValueError(f"study {study!r} has nothing to draw: {_there_is(frames)}")
    return figures


def draw_named(name: str, study: str, root: Path | str = "results") -> list[Figure]:
    """The figure `name` of `study`, once per target, split or size where those vary.

    Raises ValueError as `draw` does.
    """
    drawn = draw(study, root)
    return [figure for key, figure in drawn.items() if f"{key}_".startswith(f"{name}_")]


def save(figures: dict[str, Figure], folder: Path) -> list[Path]:
    """Write every figure into `folder` as NAME.png and NAME.pdf; return the paths.

    The same figure gives the same bytes again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with style.house():
        for name, figure in figures.items():
            for suffix, metadata in FORMATS.items():
                path = folder / f"{name}{suffix}"
                figure.savefig(path, dpi=style.PNG_DPI, metadata=metadata)
                paths.append(path)
    return paths


def _by_condition(frames: Frames) -> dict[str, Frames]:
    """The frames once per value of the conditions that vary, by a suffix for names."""
    runs = frames["runs"]
    apart = varying(_finished(frames, "run_id"), CONDITIONS)
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

"""Pack the runs of all studies for the page's table: columns of values, each text stored once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from rankbench.analysis.metrics import METRICS
from rankbench.analysis.summaries.rows import several
from rankbench.common.text import plain
from rankbench.store.schema import RUNS

# The columns that are shown until a reader chooses others.
_ALWAYS = ("decomposition", "core_order", "R", "cp_rank", "num_params")
_SHOWN = (
    *("study", "status", "contender", "input_map", "target", "noise", "split", "sweep", "swept"),
    *_ALWAYS,
    *("rmse", "top_accuracy", "nelbo_nats", "perplexity", "cider"),
    *("map_ms", "forward_ms", "step_ms", "seed", "error"),
)
# All columns, in the order of the table.
_COLUMNS = (
    *("study", *_ALWAYS, "status", "contender", "input_map", "target", "noise", "split", "fold"),
    *("sweep", "swept", "plan", "ranks", "compression_ratio"),
    *("rmse", "top_accuracy", "accuracy", "validation_accuracy", "selected_accuracy"),
    *("nelbo_nats", "reconstruction_nats", "kl_nats", "perplexity"),
    *("bleu_1", "bleu_2", "bleu_3", "bleu_4", "cider", "beam"),
    *("epochs_to_60", "epochs_to_70", "epochs_to_80", "epochs_to_90", "rmse_prediction"),
    *("map_ms", "plan_ratio", "forward_ms", "backward_ms", "step_ms", "step_floor_ms"),
    *("step_peak_mb", "forward_peak_mb", "backward_peak_mb", "peak_rss_mb"),
    *("forward_flops", "backward_flops", "largest_intermediate", "epochs", "train_loss"),
    *("samples", "dataset", "time_steps", "sampling", "learner", "cell", "hidden_size", "rows"),
    *("in_modes", "out_modes", "contraction", "kernel", "seed", "duration_s", "dtype", "device"),
    *("threads", "host", "cpu", "gpu", "started_at", "git_commit", "error", "run_id"),
)
_RANKS = ("rank", "tucker_rank", "tt_rank", "tr_rank")
_MEANING = {column.name: (column.unit, column.meaning) for column in RUNS}
_MEANING["R"] = ("", "largest rank: of a block term, Tucker, train, ring or low-rank map")
_DIGITS = 6  # Significant digits: more than a reader compares, in half the bytes.
# Candidates for the page's filters: the page offers the first six that a study has.
_FACETS = (
    *("study", "decomposition", "status", "contender", "target", "split", "sweep", "plan"),
    *("dataset", "dtype", "host"),
)


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A column of the page's table."""

    name: str
    """The name of the column."""
    unit: str
    """Its unit; empty for none."""
    meaning: str
    """What the column holds, for its tooltip."""
    shown: bool
    """Whether the column is shown at the start."""
    choices: bool
    """Whether the page may offer the column as a filter."""
    words: list[str] | None
    """The distinct texts in order; None for a column of numbers."""
    values: list[Any]
    """One number per run, or one index into `words`; None where a run has no value."""


def packed(frames: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Return the runs of all studies for the page's table, and the chart's initial axes.

    Columns that are empty or equal in all runs are left out, except for the basic ones.

    Args:
        frames: rows of `runs`, by study.

    Returns:
        `count`, `columns` (each a `Packed` as a dict), `facets` (the filters), `x` and `y`.
    """
    runs = pd.concat([_with_rank(frame) for frame in frames.values()], ignore_index=True)
    columns = [_packed(name, runs[name]) for name in _COLUMNS if _tells(name, runs[name])]
    names = {column.name for column in columns if column.words is None}
    judged = [name for name in (*METRICS, "map_ms") if name in names and name != "num_params"]
    return {
        "count": len(runs),
        "columns": [asdict(column) for column in columns],
        "facets": [name for name in _FACETS if any(c.name == name and c.choices for c in columns)],
        "x": "num_params" if "num_params" in names else next(iter(sorted(names)), ""),
        "y": judged[0] if judged else "num_params",
    }


def _with_rank(runs: pd.DataFrame) -> pd.DataFrame:
    known = runs[list(_RANKS)].astype("Int64").bfill(axis=1).iloc[:, 0]
    return runs.assign(R=known)


def _tells(name: str, values: pd.Series) -> bool:
    if name in ("run_id", *_ALWAYS):
        return bool(values.notna().any()) or name == "run_id"
    return bool(values.notna().any()) and several(values)


def _packed(name: str, values: pd.Series) -> Packed:
    words = None if pd.api.types.is_numeric_dtype(values) else _words(values)
    places = {word: place for place, word in enumerate(words or ())}
    unit, meaning = _MEANING[name]
    return Packed(
        name=name,
        unit=unit,
        meaning=meaning,
        shown=name in _SHOWN,
        choices=words is not None and len(words) > 1 and name in _FACETS,
        words=words,
        values=[places[_text(v)] if words and _there(v) else _number(v) for v in values],
    )


def _words(values: pd.Series) -> list[str]:
    return sorted({_text(value) for value in values if _there(value)})


def _there(value: Any) -> bool:
    return isinstance(value, tuple | list) or bool(pd.notna(value))


def _text(value: Any) -> str:
    if isinstance(value, tuple | list):
        return " ".join(map(str, value))
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return plain(str(value))


def _number(value: Any) -> float | int | None:
    if not _there(value) or isinstance(value, str):
        return None
    number = float(value)
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() else float(f"{number:.{_DIGITS}g}")

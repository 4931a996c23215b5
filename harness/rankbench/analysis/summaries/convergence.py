"""Count the epochs that a model takes to an accuracy (BT Sec. 4.2: 16 against 230 to 0.60)."""

from __future__ import annotations

from typing import Any

import pandas as pd

from rankbench.analysis.stats.intervals import mean_interval
from rankbench.analysis.summaries.accuracy import classified
from rankbench.analysis.summaries.models import condition_order, model_order
from rankbench.analysis.summaries.rows import records

LEVELS = (60, 70, 80, 90)
PUBLISHED_LEVEL = 60


def column_of(level: int) -> str:
    """Return the column that holds the first epoch with an accuracy of at least `level` percent."""
    return f"epochs_to_{level}"


def with_epochs_to(runs: pd.DataFrame, epochs: pd.DataFrame) -> pd.DataFrame:
    """Add the first epoch at each accuracy in LEVELS, read from the curves where it is missing.

    Args:
        runs: Rows of the `runs` table.
        epochs: Rows of the `epochs` table.

    Returns:
        A copy of `runs`. A level that a run did not reach is null.
    """
    curve = epochs.dropna(subset=["accuracy"])
    filled = runs.copy()
    for level in LEVELS:
        there = curve[curve["accuracy"] >= level / 100]
        first = filled["run_id"].map(there.groupby("run_id")["epoch"].min()).astype("Int64")
        column = column_of(level)
        known = filled[column].astype("Int64") if column in filled.columns else first
        filled[column] = known.fillna(first)
    return filled


def convergence(runs: pd.DataFrame, epochs: pd.DataFrame) -> pd.DataFrame:
    """Summarise the epochs to each accuracy in LEVELS, by model and condition.

    Args:
        runs: Rows of the `runs` table.
        epochs: Rows of the `epochs` table.

    Returns:
        One row per model, condition and level. `reached` of `runs` reached the level; `mean`, `low`
        and `high` are their mean epoch and its 95% t interval. The mean is NaN if no run reached
        the level, the interval if fewer than two did. `epochs` is the largest number of epochs
        trained. `times_lstm` is the mean of the fastest dense LSTM under the same condition divided
        by this mean, NaN if either is missing.

    Raises:
        ValueError: If no finished run classifies clips.
    """
    kept = with_epochs_to(classified(runs, "convergence"), epochs)
    models, places = model_order(kept), condition_order(kept["condition"])
    rows = []
    for model in models:
        for condition in places:
            group = kept[(kept["model"] == model) & (kept["condition"] == condition)]
            if len(group):
                rows += [_level_row(group, level) for level in LEVELS]
    frame = pd.DataFrame(rows)
    dense = frame[frame["family"] == "dense"].groupby(["condition", "level"])["mean"].min()
    fastest = [dense.get((row["condition"], row["level"])) for row in records(frame)]
    return frame.assign(times_lstm=pd.Series(fastest, dtype=float) / frame["mean"])


def _level_row(group: pd.DataFrame, level: int) -> dict[str, Any]:
    first = records(group)[0]
    reached = group[column_of(level)].dropna().astype(float)
    found = mean_interval(reached) if len(reached) else None
    nothing = float("nan")
    return {
        **{column: first[column] for column in ("model", "condition", "family", "num_params")},
        "level": level / 100,
        "reached": len(reached),
        "runs": len(group),
        "epochs": int(group["epochs"].max()) if group["epochs"].notna().any() else None,
        "mean": found.mean if found else nothing,
        "low": found.low if found else nothing,
        "high": found.high if found else nothing,
    }

"""Summarise accuracies by model and condition, with intervals and the published values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pandas as pd

from rankbench.analysis.stats.intervals import mean_interval
from rankbench.analysis.summaries.comparisons import differences, published_model, published_results
from rankbench.analysis.summaries.models import TASKS, condition_order, model_order, modelled
from rankbench.analysis.summaries.rows import Row, done, records
from rankbench.common.intervals import wilson

TOP = "top_accuracy"


def classified(runs: pd.DataFrame, figure: str, metric: str = TOP) -> pd.DataFrame:
    """Select the finished runs that classify clips and name their models and conditions.

    Args:
        runs: Rows of the `runs` table.
        figure: The name of the caller, for error messages.
        metric: The column that must have a value.

    Returns:
        The selected rows with the columns `family`, `model` and `condition`.

    Raises:
        ValueError: If there are none.
    """
    finished = done(runs, figure, "point_id", "num_params", metric)
    kept = finished[finished["task"].isin(TASKS)]
    if kept.empty:
        raise ValueError(f"{figure}: none of {len(finished)} finished runs classifies clips")
    return modelled(kept)


def by_model(runs: pd.DataFrame, metric: str = TOP) -> pd.DataFrame:
    """Summarise a metric over seeds and folds, one row per model and condition.

    Args:
        runs: Rows of the `runs` table.
        metric: The column to summarise.

    Returns:
        A frame with two intervals. `low` and `high` are the 95% t interval of the mean over runs,
        which measures the variation between seeds; NaN for a single run. `clips_low` and
        `clips_high` are the 95% Wilson interval of the mean over the test clips, which measures the
        effect of sampling clips; NaN if the number of clips is unknown.

    Raises:
        ValueError: If no finished run classifies clips.
    """
    kept = classified(runs, "accuracy", metric)
    rows = [
        _model_row(records(group), metric)
        for _, group in kept.groupby(["model", "condition"], sort=False)
    ]
    frame = pd.DataFrame(rows)
    models, places = model_order(kept), condition_order(kept["condition"])
    order = frame.assign(
        model=frame["model"].map(models.index), condition=frame["condition"].map(places.index)
    )
    return frame.loc[order.sort_values(["model", "condition"]).index].reset_index(drop=True)


def _model_row(group: list[dict[str, Any]], metric: str) -> dict[str, Any]:
    first = group[0]
    found = asdict(mean_interval(float(row[metric]) for row in group))
    size = test_clips(group)
    ends = wilson(found["mean"], size) if size else (float("nan"), float("nan"))
    kept = ("model", "condition", "family", "decomposition", "num_params", "compression_ratio")
    epochs = {row["epochs"] for row in group if not pd.isna(row["epochs"])}
    return {
        **{column: first[column] for column in kept},
        "runs": found.pop("count"),
        "seeds": len({row["seed"] for row in group}),
        "folds": len({row.get("fold") for row in group}),
        "epochs": max(epochs, default=None),
        "test_size": size,
        **found,
        "clips_low": ends[0],
        "clips_high": ends[1],
        "published_model": published_model(first),
        "published": "; ".join(f"{r.value:.3f} {r.source}" for r in published_results(first)),
        "note": "; ".join(differences(first)),
    }


def test_clips(group: list[dict[str, Any]]) -> int:
    """Count the distinct clips that a model was tested on: each fold's test set once."""
    folds = {_fold(row): row["test_size"] for row in group if not pd.isna(row["test_size"])}
    return int(sum(folds.values()))


def _fold(row: Row) -> int:
    fold = row.get("fold")
    return -1 if fold is None or pd.isna(fold) else int(fold)

"""Accuracies of models by condition, beside the published ones, with their intervals."""

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
    """The finished runs that classify, with `family`, `model` and `condition`.

    Raises ValueError, naming `figure`, where there are none.
    """
    finished = done(runs, figure, "point_id", "num_params", metric)
    kept = finished[finished["task"].isin(TASKS)]
    if kept.empty:
        raise ValueError(f"{figure}: none of {len(finished)} finished runs classifies clips")
    return modelled(kept)


def by_model(runs: pd.DataFrame, metric: str = TOP) -> pd.DataFrame:
    """One row per model and condition: `metric` over seeds and folds, with two intervals.

    `low`, `high`: 95% t interval of the mean over runs, NaN for a single one; it says how far
    seeds move the mean, not which clips were drawn. `clips_low`, `clips_high`: 95% Wilson
    interval of the mean over the test clips; NaN where their number is not known.

    Raises ValueError where no finished run classifies.
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
    """How many different clips a model was tested on: those of every fold, once."""
    folds = {_fold(row): row["test_size"] for row in group if not pd.isna(row["test_size"])}
    return int(sum(folds.values()))


def _fold(row: Row) -> int:
    fold = row.get("fold")
    return -1 if fold is None or pd.isna(fold) else int(fold)

"""Summarise captioning scores over seeds, and compare each model with the dense LSTM."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import pandas as pd

from rankbench.analysis.stats.intervals import mean_interval
from rankbench.analysis.stats.paired import holm, two_sided
from rankbench.analysis.summaries import labels
from rankbench.analysis.summaries.models import model_order
from rankbench.analysis.summaries.rows import done, records, several

TASK = "caption"
# Column -> printed name. Perplexity is the only score to be minimised.
SCORES: dict[str, str] = {
    "perplexity": "perplexity",
    "bleu_1": "BLEU-1",
    "bleu_2": "BLEU-2",
    "bleu_3": "BLEU-3",
    "bleu_4": "BLEU-4",
    "cider": "CIDEr-D",
}


def captioned(runs: pd.DataFrame, figure: str) -> pd.DataFrame:
    """Select the finished runs that caption images and name their models.

    Args:
        runs: Rows of the `runs` table.
        figure: The name of the caller, for error messages.

    Returns:
        The selected rows with the columns `family` and `model` (a label of the point).

    Raises:
        ValueError: If there are none, or if they use different data sets.
    """
    finished = done(runs, figure, "point_id", "num_params", *SCORES)
    kept = finished[finished["task"] == TASK]
    if kept.empty:
        raise ValueError(f"{figure}: none of {len(finished)} finished runs captions images")
    if several(kept["data_hash"]):
        sets = ", ".join(sorted(kept["dataset"].astype(str).unique()))
        raise ValueError(f"{figure}: runs of one set of captions can be compared, got: {sets}")
    return kept.assign(model=kept["point_id"].map(labels.points(kept)))


def scores(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the mean of each score over seeds, with its 95% t interval.

    Returns:
        One row per model and score.

    Raises:
        ValueError: If no finished run captions images.
    """
    kept = captioned(runs, "captions")
    rows = [
        _summary(records(kept[kept["model"] == model]), column)
        for model in model_order(kept)
        for column in SCORES
    ]
    return pd.DataFrame(rows)


def _summary(group: list[dict[str, Any]], column: str) -> dict[str, Any]:
    first = group[0]
    found = asdict(mean_interval(float(row[column]) for row in group))
    kept = ("model", "family", "decomposition", "num_params", "compression_ratio")
    steps = sorted(float(row["step_ms"]) for row in group if not pd.isna(row["step_ms"]))
    return {
        **{name: first[name] for name in kept},
        "score": column,
        "runs": found.pop("count"),
        "step_ms": steps[len(steps) // 2] if steps else math.nan,
        **found,
    }


def differences(runs: pd.DataFrame) -> pd.DataFrame:
    """Compare each compressed model with the dense LSTM, paired by seed.

    Returns:
        One row per score and compressed model: the `mean` of model minus dense LSTM over seeds, its
        95% t interval `low`, `high`, the two-sided `p` of a paired t test, and `p_holm`, corrected
        over all tests in the frame. Empty if no seeds can be paired.
    """
    kept = captioned(runs, "captions")
    dense = kept[kept["family"] == "dense"].drop_duplicates("seed").set_index("seed")
    rows = []
    for column in SCORES:
        found = [
            _difference(kept[kept["model"] == model].set_index("seed"), dense, column)
            for model in model_order(kept)
            if not (kept.loc[kept["model"] == model, "family"] == "dense").any()
        ]
        rows += [row for row in found if row["pairs"]]
    corrected = holm([row["p"] for row in rows])
    return pd.DataFrame([{**row, "p_holm": p} for row, p in zip(rows, corrected, strict=True)])


def _difference(model: pd.DataFrame, dense: pd.DataFrame, column: str) -> dict[str, Any]:
    seeds = model.index.intersection(dense.index)
    here = (model.loc[seeds, column] - dense.loc[seeds, column]).astype(float).tolist()
    row = {"score": column, "model": model["model"].iloc[0], "pairs": len(here)}
    if not here:
        return {**row, "p": math.nan}
    found = asdict(mean_interval(here))
    found.pop("count")
    return {**row, **found, "p": two_sided(here)}

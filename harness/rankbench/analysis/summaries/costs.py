"""What an epoch of a model takes, beside the dense model it replaces."""

from __future__ import annotations

import pandas as pd


def with_time(table: pd.DataFrame, kept: pd.DataFrame, epochs: pd.DataFrame) -> pd.DataFrame:
    """The rows of `by_model(kept)` with `epoch_s`, the median over runs of the seconds an epoch.

    `times_dense`: epoch_s over that of the fastest dense model on the same condition. Evaluation
    is part of an epoch. Both are NaN where no curve tells the time.
    """
    curve = epochs.dropna(subset=["seconds"]).sort_values("epoch")
    ends = curve.groupby("run_id").tail(1).set_index("run_id")
    seconds = kept["run_id"].map(ends["seconds"] / ends["epoch"].astype(float)).astype(float)
    medians = kept.assign(epoch_s=seconds).groupby(["model", "condition"])["epoch_s"].median()
    timed = table.merge(medians.reset_index(), on=["model", "condition"])
    dense = timed[timed["family"] == "dense"].groupby("condition")["epoch_s"].min()
    return timed.assign(times_dense=timed["epoch_s"] / timed["condition"].map(dense))

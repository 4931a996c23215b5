"""Measure the time per epoch of a model, relative to the dense model that it replaces."""

from __future__ import annotations

import pandas as pd


def with_time(table: pd.DataFrame, kept: pd.DataFrame, epochs: pd.DataFrame) -> pd.DataFrame:
    """Add the time per epoch to the rows of `by_model`.

    Args:
        table: The frame that `by_model(kept)` returns.
        kept: The runs, as `classified` returns them.
        epochs: Rows of the `epochs` table.

    Returns:
        `table` with `epoch_s`, the median over runs of the seconds per epoch, evaluation included,
        and `times_dense`, that time divided by the time of the fastest dense model under the same
        condition. Both are NaN if no time was recorded.
    """
    curve = epochs.dropna(subset=["seconds"]).sort_values("epoch")
    ends = curve.groupby("run_id").tail(1).set_index("run_id")
    seconds = kept["run_id"].map(ends["seconds"] / ends["epoch"].astype(float)).astype(float)
    medians = kept.assign(epoch_s=seconds).groupby(["model", "condition"])["epoch_s"].median()
    timed = table.merge(medians.reset_index(), on=["model", "condition"])
    dense = timed[timed["family"] == "dense"].groupby("condition")["epoch_s"].min()
    return timed.assign(times_dense=timed["epoch_s"] / timed["condition"].map(dense))

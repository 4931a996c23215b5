"""Compute means over seeds and Student's t intervals of these means."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats


@dataclass(frozen=True)
class Interval:
    """The mean of some values, with its spread and its interval.

    With a single value `sd`, `low` and `high` are NaN, because one value has no spread.
    """

    mean: float
    """The mean of the values."""
    sd: float
    """The sample standard deviation of the values (n - 1 degrees of freedom)."""
    low: float
    """The lower end of the interval of the mean."""
    high: float
    """The upper end of the interval of the mean."""
    count: int
    """How many values there were."""


def mean_interval(values: Iterable[float], confidence: float = 0.95) -> Interval:
    """Return the mean of `values` with Student's t interval, m ± t(confidence, n - 1) s / sqrt(n).

    Args:
        values: n values, for example one per seed.
        confidence: the coverage of the interval, between 0 and 1.

    Raises:
        ValueError: there are no values.
    """
    array = np.asarray(list(values), dtype=float)
    if array.size == 0:
        raise ValueError("an interval needs at least one value, got none")
    mean = float(array.mean())
    if array.size == 1:
        return Interval(mean, math.nan, math.nan, math.nan, 1)
    sd = float(array.std(ddof=1))
    half = float(stats.t.ppf(0.5 + confidence / 2, array.size - 1)) * sd / math.sqrt(array.size)
    return Interval(mean, sd, mean - half, mean + half, array.size)


def mean_intervals(values: pd.Series[float], by: pd.Series[int]) -> pd.DataFrame:
    """Return the mean of each group of `values`, with its 95% interval and its range.

    Args:
        values: the values of all groups.
        by: the group of each value, such as its epoch; same index as `values`.

    Returns:
        One row per group, indexed by it: `mean`, `low`, `high`, `least` and `greatest`. `low` and
        `high` are NaN for a group of one value.
    """
    found = values.astype(float).groupby(by).agg(["mean", "std", "count", "min", "max"])
    quantile = stats.t.ppf(0.975, (found["count"] - 1).clip(lower=1))
    half = quantile * found["std"] / np.sqrt(found["count"])
    ends = {"low": found["mean"] - half, "high": found["mean"] + half}
    return found[["mean"]].assign(**ends, least=found["min"], greatest=found["max"])

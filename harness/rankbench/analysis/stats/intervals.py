"""Means over seeds and shares of clips, and how sure they are."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats


@dataclass(frozen=True)
class Interval:
    """Mean of `count` values, their standard deviation, and the ends of the mean's interval.

    With a single value `sd`, `low` and `high` are NaN: one value says nothing of its spread.
    """

    mean: float
    sd: float
    low: float
    high: float
    count: int


def mean_interval(values: Iterable[float], confidence: float = 0.95) -> Interval:
    """Student's interval of a mean: m -+ t(confidence, n - 1) s / sqrt(n).

    Raises ValueError when there are no values.
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
    """`mean`, `low`, `high` of `mean_interval`, `least`, `greatest` for every value of `by`.

    `low` and `high` are NaN where there is one value.
    """
    found = values.astype(float).groupby(by).agg(["mean", "std", "count", "min", "max"])
    quantile = stats.t.ppf(0.975, (found["count"] - 1).clip(lower=1))
    half = quantile * found["std"] / np.sqrt(found["count"])
    ends = {"low": found["mean"] - half, "high": found["mean"] + half}
    return found[["mean"]].assign(**ends, least=found["min"], greatest=found["max"])

"""Means over seeds and how sure they are."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np


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
    half = t_quantile(0.5 + confidence / 2, array.size - 1) * sd / math.sqrt(array.size)
    return Interval(mean, sd, mean - half, mean + half, array.size)


@lru_cache(maxsize=1024)
def t_quantile(probability: float, freedom: int) -> float:
    """The value Student's t with `freedom` degrees stays below with `probability` in [0.5, 1).

    Found by bisection of its distribution function.
    """
    low, high = 0.0, 1.0
    while t_below(high, freedom) < probability:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        if t_below(middle, freedom) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def t_below(t: float, freedom: int) -> float:
    """P(T < t) for Student's t with a whole number of degrees of freedom.

    With theta = atan(t / sqrt(n)) this is a finite sum of powers of cos(theta)
    (Abramowitz and Stegun 26.7.3 and 26.7.4).
    """
    theta = math.atan(t / math.sqrt(freedom))
    square = math.cos(theta) ** 2
    odd = freedom % 2
    term = math.cos(theta) if odd else 1.0
    total = 0.0
    for k in range(2 + odd, freedom + 1, 2):
        total += term
        term *= square * (k - 1) / k
    inside = math.sin(theta) * total
    if odd:
        inside = 2 / math.pi * (theta + inside)
    return 0.5 + inside / 2

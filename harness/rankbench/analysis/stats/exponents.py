"""Exponents of power laws from points: on the asymptotic part, with an interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

Values = Sequence[float] | np.ndarray
LEAST = 4  # points of a fit
DRIFT = 0.1  # change of the local exponent over a range that still counts as one power law
MARGIN = 0.1  # an interval beyond it says that an exponent differs
NARROW = 0.25  # an interval within it says that an exponent agrees

HOLDS, LOOSER, VIOLATED = "holds", "looser than needed", "violated"
CANNOT_TELL = "cannot tell"
VERDICTS = (HOLDS, LOOSER, VIOLATED, CANNOT_TELL)


@dataclass(frozen=True, kw_only=True)
class Fit:
    """y = e^intercept x^exponent by least squares on logarithms, and the exponent's interval.

    All NaN where there are fewer than 3 points.
    """

    exponent: float
    low: float
    high: float
    intercept: float


def fit(x: Values, y: Values, confidence: float = 0.95) -> Fit:
    """The power law through positive points, with Student's interval of its exponent.

    Raises ValueError for values that are not positive.
    """
    if min(*x, *y) <= 0:
        raise ValueError("x and y of a power law must be positive")
    if len(x) < 3:
        return Fit(exponent=math.nan, low=math.nan, high=math.nan, intercept=math.nan)
    u, v = np.log(np.asarray(x, dtype=float)), np.log(np.asarray(y, dtype=float))
    across = u - u.mean()
    slope = float(across @ v / (across @ across))
    intercept = float(v.mean() - slope * u.mean())
    freedom = len(u) - 2
    variance = float(np.square(v - intercept - slope * u).sum()) / freedom
    error = math.sqrt(variance / float(across @ across))
    half = float(stats.t.ppf(0.5 + confidence / 2, freedom)) * error
    return Fit(exponent=slope, low=slope - half, high=slope + half, intercept=intercept)


def asymptotic_start(x: Values, y: Values) -> int:
    """The place of the first point of the longest tail that is one power law.

    Along a tail of one the local exponent, that of a cubic through the logarithms (a parabola of
    5 points), changes by less than 0.1, or the cubic is no better than a line (F test, 95%). At
    the latest the last 4 points.
    """
    logs = np.log(np.asarray([x, y], dtype=float))
    for start in range(len(x) - LEAST):
        if _straight(*logs[:, start:]):
            return start
    return max(0, len(x) - LEAST)


def _straight(u: np.ndarray, v: np.ndarray) -> bool:
    degree = 3 if len(u) > LEAST + 1 else 2
    curve, line = (np.polynomial.Polynomial.fit(u, v, of) for of in (degree, 1))
    if float(np.ptp(curve.deriv()(u))) < DRIFT:
        return True
    bent, straight = (float(np.square(v - one(u)).sum()) for one in (curve, line))
    freedom, more = len(u) - degree - 1, degree - 1
    limit = float(stats.f.ppf(0.95, more, freedom))
    return (straight - bent) * freedom < limit * bent * more


def verdict(difference: Fit) -> str:
    """What the exponent of measured / claimed says of a claimed upper bound.

    violated: the interval lies above 0.1, the measured quantity outgrows its bound. looser than
    needed: it lies below -0.1. holds: it lies within 0.25 of 0. Else cannot tell.
    """
    if math.isnan(difference.low):
        return CANNOT_TELL
    if difference.low > MARGIN:
        return VIOLATED
    if difference.high < -MARGIN:
        return LOOSER
    return HOLDS if difference.low >= -NARROW and difference.high <= NARROW else CANNOT_TELL

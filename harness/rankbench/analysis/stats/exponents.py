"""Fit power laws to measured points: find their asymptotic part, the exponent and its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

Values = Sequence[float] | np.ndarray
LEAST = 4  # The asymptotic part of a curve has at least this many points.
DRIFT = 0.1  # A range is one power law if its local exponent changes by less than this.
MARGIN = 0.1  # An exponent differs from 0 if its whole interval is further away than this.
NARROW = 0.25  # An exponent agrees with 0 if its whole interval is at most this far away.

HOLDS, LOOSER, VIOLATED = "holds", "looser than needed", "violated"
CANNOT_TELL = "cannot tell"
VERDICTS = (HOLDS, LOOSER, VIOLATED, CANNOT_TELL)


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A fitted power law, y = exp(intercept) x^exponent, with an interval of its exponent.

    It is fitted by least squares on the logarithms. Every field is NaN for fewer than 3 points.
    """

    exponent: float
    """The exponent, which is the slope on logarithmic axes."""
    low: float
    """The lower end of the exponent's interval."""
    high: float
    """The upper end of the exponent's interval."""
    intercept: float
    """The natural logarithm of y at x = 1."""


def fit(x: Values, y: Values, confidence: float = 0.95) -> Fit:
    """Fit a power law to positive points, with Student's t interval of its exponent.

    Args:
        x: the variable, shape (n,).
        y: the measured quantity, shape (n,).
        confidence: the coverage of the interval, between 0 and 1.

    Returns:
        The fit; all its fields are NaN where n is below 3.

    Raises:
        ValueError: some value of `x` or `y` is not positive.
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
    """Return the index of the first point of the longest tail that follows one power law.

    A tail follows one power law where the local exponent changes by less than DRIFT along it, or
    where a curve fits no better than a line (F test, 95%). The local exponent is the slope of a
    cubic through the logarithms (of a parabola for 5 points).

    Args:
        x: the variable, positive and ascending, shape (n,).
        y: the measured quantity, positive, shape (n,).

    Returns:
        An index that leaves at least the last LEAST points, or 0 where there are fewer.
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
    """Judge a claimed upper bound by the exponent of measured / claimed.

    Args:
        difference: the power law fitted to the ratio of the measured to the claimed quantity.

    Returns:
        One of VERDICTS. "violated": the interval is wholly above MARGIN, so the measured quantity
        grows faster than its bound. "looser than needed": it is wholly below -MARGIN. "holds": it
        is within NARROW of 0. "cannot tell": none of these, or too few points for an interval.
    """
    if math.isnan(difference.low):
        return CANNOT_TELL
    if difference.low > MARGIN:
        return VIOLATED
    if difference.high < -MARGIN:
        return LOOSER
    return HOLDS if difference.low >= -NARROW and difference.high <= NARROW else CANNOT_TELL

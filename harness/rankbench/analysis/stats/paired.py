"""Test whether paired values differ, and correct several such tests together."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

_NAN = math.nan
_ALIKE = 1e-9  # Differences count as equal if they differ by less than this, relatively.


def p_value(sign: str, differences: Sequence[float], tolerance: float) -> float:
    """Return the p value of a paired t test of left against right.

    Where all differences are equal, as differences of whole epochs may be, they have no spread for
    a t test. The p value is then that of a sign test, 2^-n.

    Args:
        sign: the hypothesis. "<" or ">": the mean of left - right is below or above 0 (one-sided).
            "=": it is within `tolerance` of 0 (two one-sided tests; the larger p is returned).
        differences: left - right, one per pair.
        tolerance: the bound that "=" tests against; unused otherwise.

    Returns:
        The p value; NaN for fewer than two pairs.
    """
    if len(differences) < 2:
        return _NAN
    if sign == "=":
        return max(
            _one_sided(differences, -tolerance, "greater"),
            _one_sided(differences, tolerance, "less"),
        )
    return _one_sided(differences, 0, "less" if sign == "<" else "greater")


def two_sided(differences: Sequence[float]) -> float:
    """Return the two-sided p value that the mean difference is not 0; NaN for fewer than two."""
    if len(differences) < 2:
        return _NAN
    return min(1.0, 2 * min(p_value(sign, differences, 0.0) for sign in "<>"))


def _one_sided(differences: Sequence[float], centre: float, side: str) -> float:
    found = np.asarray(differences)
    if np.ptp(found) <= _ALIKE * max(1.0, float(np.abs(found).max())):
        beyond = found[0] < centre if side == "less" else found[0] > centre
        size = found.size if beyond else 0
        return float(stats.binomtest(size, found.size, alternative="greater").pvalue)
    return float(stats.ttest_1samp(found, centre, alternative=side).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct the p values of tests that are made together, with Holm's method.

    Args:
        p_values: one p per test; NaN marks a test that was not made, which does not count.

    Returns:
        The corrected p values in the same order, NaN where the input is NaN.
    """
    from statsmodels.stats.multitest import multipletests  # Importing it takes a second.

    corrected = np.asarray(p_values, dtype=float)
    tested = ~np.isnan(corrected)
    if tested.any():
        corrected[tested] = multipletests(corrected[tested], method="holm")[1]
    return [float(p) for p in corrected]

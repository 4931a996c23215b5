"""Whether paired values differ, and several such tests together."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

_NAN = math.nan
_ALIKE = 1e-9  # relative: what differences may differ by that are the same


def p_value(sign: str, differences: Sequence[float], tolerance: float) -> float:
    """One-sided p of a paired t test that left less right is below ('<') or above 0 ('>').

    '=': the larger p of both tests that it is within `tolerance` (two one-sided tests). NaN for
    fewer than two pairs. Where all differences are the same, as those of whole epochs may be, t has
    no spread to go by: then it is the p of a sign test, 2^-n.
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
    """Two-sided p of a paired t test that left less right is not 0; NaN for fewer than two."""
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
    """Return Holm's corrected p of tests that are made together, NaN where there was no test."""
    from statsmodels.stats.multitest import multipletests  # importing it takes a second

    corrected = np.asarray(p_values, dtype=float)
    tested = ~np.isnan(corrected)
    if tested.any():
        corrected[tested] = multipletests(corrected[tested], method="holm")[1]
    return [float(p) for p in corrected]

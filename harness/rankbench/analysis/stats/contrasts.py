"""Compare two sides seed by seed: the difference, its interval, its effect size and a verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from rankbench.analysis.stats.paired import holm, two_sided

LEVEL = 0.05
DRAWS = 2000
BETTER, WORSE, NOT_SHOWN = "better", "worse", "no difference shown"
COLUMNS = ("seeds", "difference", "low", "high", "effect", "p", "p_holm", "verdict")
NOTE = (
    "paired by seed: mean difference with its 95% bootstrap interval over seeds, Hedges' g of the "
    "differences, p of a paired t test, Holm's over the rows of this table; better or worse only "
    f"where that is below {LEVEL:g} and the interval leaves 0 out"
)

Pair = tuple[Mapping[str, Any], "pd.Series[float]", "pd.Series[float]"]


def by_seed(runs: pd.DataFrame, metric: str) -> pd.Series[float]:
    """Return the mean of `metric` over the runs of each seed, indexed by seed."""
    return runs[metric].astype(float).groupby(runs["seed"].astype(int)).mean()


def paired(a: pd.Series[float], b: pd.Series[float]) -> dict[str, float]:
    """Compare `a` with `b` over the seeds that both have.

    Args:
        a: one value per seed, indexed by seed, as `by_seed` returns it.
        b: likewise for the other side.

    Returns:
        `seeds` (how many were paired), `difference` (mean of a - b), `low` and `high` (the 95%
        percentile bootstrap interval of that mean), `effect` (Hedges' g of the differences,
        infinite where all differences are equal and not 0) and `p` (two-sided). The last four are
        NaN where only one seed was paired.

    Raises:
        ValueError: no seed is on both sides.
    """
    known = (a - b).dropna().to_numpy(float)
    if known.size == 0:
        raise ValueError("a paired comparison needs a seed that both sides have, got none")
    low, high = interval(known)
    found = {"seeds": float(known.size), "difference": float(known.mean())}
    return found | {
        "low": low,
        "high": high,
        "effect": hedges(known),
        "p": two_sided(known.tolist()),
    }


def interval(values: np.ndarray[Any, Any], confidence: float = 0.95) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the mean of `values`.

    The bootstrap has a fixed seed, so that the same values always give the same interval.

    Args:
        values: one value per seed, shape (n,).
        confidence: the coverage of the interval, between 0 and 1.

    Returns:
        The lower and the upper end; both are NaN for fewer than two values.
    """
    if values.size < 2:
        return math.nan, math.nan
    found = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=DRAWS,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)


def hedges(differences: np.ndarray[Any, Any]) -> float:
    """Return Hedges' g: the mean of `differences` over their standard deviation, bias-corrected.

    The correction for small samples is 1 - 3 / (4 (n - 1) - 1). The result is NaN for fewer than
    two differences; where all are equal it is 0 or infinite.
    """
    if differences.size < 2:
        return math.nan
    mean, sd = float(differences.mean()), float(differences.std(ddof=1))
    if sd == 0:
        return 0.0 if mean == 0 else math.copysign(math.inf, mean)
    return mean / sd * (1 - 3 / (4 * (differences.size - 1) - 1))


def compare(pairs: Iterable[Pair], *, less_is_better: bool) -> pd.DataFrame:
    """Compare many pairs and correct their p values together with Holm's method.

    Args:
        pairs: (facts, a, b) for each comparison: the columns that identify it, and one value per
            seed of either side.
        less_is_better: whether smaller values of the metric are better.

    Returns:
        One row per pair: its facts, then COLUMNS for a - b. `verdict` is about `a`: it is "better"
        or "worse" only where the corrected p is below LEVEL and the interval excludes 0. The frame
        is empty where there are no pairs.

    Raises:
        ValueError: the two sides of a pair share no seed.
    """
    rows = [{**facts, **paired(a, b)} for facts, a, b in pairs]
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
        row["verdict"] = _verdict(row, less_is_better)
    return pd.DataFrame(rows).astype({"seeds": int}) if rows else pd.DataFrame()


def _verdict(row: Mapping[str, Any], less_is_better: bool) -> str:
    if not (row["p_holm"] < LEVEL and (row["low"] > 0 or row["high"] < 0)):
        return NOT_SHOWN
    return BETTER if (row["difference"] < 0) == less_is_better else WORSE

"""Paired comparisons across seeds: how large a difference is, how sure, and what may be said."""

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
    """The mean of `metric` of every seed."""
    return runs[metric].astype(float).groupby(runs["seed"].astype(int)).mean()


def paired(a: pd.Series[float], b: pd.Series[float]) -> dict[str, float]:
    """`a` less `b` over the seeds of both: `seeds`, `difference`, `low`, `high`, `effect`, `p`.

    The interval is a percentile bootstrap of the mean, the effect Hedges' g of the differences
    (infinite where all are the same), p two-sided. NaN for what one seed cannot tell.

    Raises ValueError where no seed is in both.
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
    """The percentile bootstrap interval of the mean of `values`; NaN for fewer than two."""
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
    """Mean over standard deviation of `differences`, less its bias for few of them."""
    if differences.size < 2:
        return math.nan
    mean, sd = float(differences.mean()), float(differences.std(ddof=1))
    if sd == 0:
        return 0.0 if mean == 0 else math.copysign(math.inf, mean)
    return mean / sd * (1 - 3 / (4 * (differences.size - 1) - 1))


def compare(pairs: Iterable[Pair], *, less_is_better: bool) -> pd.DataFrame:
    """A row for each (facts, a, b): the facts, and COLUMNS of `a` less `b`.

    `verdict` is of a: better or worse only where Holm's p over all rows is below LEVEL and the
    interval leaves 0 out.
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

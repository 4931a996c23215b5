"""Rank decompositions at equal numbers of parameters and test which are worse than the best."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from rankbench.analysis.metrics import LEARNED, METRICS, Metric
from rankbench.analysis.stats.contrasts import by_seed, compare
from rankbench.analysis.stats.intervals import mean_interval
from rankbench.analysis.summaries import labels
from rankbench.analysis.summaries.rows import (
    CONDITIONS,
    at_noise,
    done,
    records,
    several,
    text,
    varying,
)

BUDGETS = (500, 1000, 3000, 10000)
NEAR = 1.25  # A point belongs to a budget if its size is within this factor of it.
FEW_FAMILIES, FEW_BUDGETS, FEW_SEEDS = 3, 2, 2
BEST = "best"


def metric_of(runs: pd.DataFrame) -> Metric:
    """Return the metric that judges a study of learning: the first of LEARNED that was measured.

    Raises:
        ValueError: If no finished run has any of them.
    """
    finished = done(runs, "budget")
    for column in LEARNED:
        if finished[column].notna().any():
            return METRICS[column]
    raise ValueError(f"budget: no finished run has {' or '.join(LEARNED)}")


def conditions(finished: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Split runs into groups whose errors are comparable.

    Args:
        finished: Finished runs.

    Returns:
        Runs by the name of their condition. The name is empty if there is only one group.
    """
    apart = varying(finished, CONDITIONS)
    if not apart:
        return {"": finished}
    names = [", ".join(text(row, column) or "-" for column in apart) for row in records(finished)]
    keys = pd.Series(names, index=finished.index)
    return {str(name): rows for name, rows in finished.groupby(keys, sort=False)}


def at_budgets(runs: pd.DataFrame) -> pd.DataFrame:
    """Select the runs of points whose size is near a budget.

    For each decomposition, only the point nearest to a budget is kept. Of several noise variances,
    only the one nearest to 0.05 is kept. Points with a single seed are dropped, then
    budgets with fewer than three decompositions, then conditions with fewer than two budgets.

    Args:
        runs: Rows of the `runs` table.

    Returns:
        The selected rows with the columns `budget` (number of parameters) and `part` (the
        condition); empty if nothing qualifies.
    """
    finished = done(runs, "budget", "point_id", "num_params", metric_of(runs).column)
    kept = []
    for part, rows in conditions(at_noise(finished)).items():
        near = _nearest(rows).assign(part=part)
        wide = near.groupby("budget")["family"].nunique() >= FEW_FAMILIES
        near = near[near["budget"].isin(wide[wide].index)]
        if near["budget"].nunique() >= FEW_BUDGETS:
            kept.append(near)
    return pd.concat(kept) if kept else finished.iloc[:0].assign(budget=0, part="")


def _nearest(rows: pd.DataFrame) -> pd.DataFrame:
    sizes = rows["num_params"].to_numpy(float)
    away = np.abs(np.log(sizes[:, None] / np.array(BUDGETS, dtype=float)))
    own = rows.assign(budget=np.array(BUDGETS)[away.argmin(1)], away=away.min(1))
    own = own[own["away"] <= math.log(NEAR)]
    own = own[own.groupby("point_id")["seed"].transform("nunique") >= FEW_SEEDS]
    least = own.groupby(["family", "budget"])["away"].transform("min")
    own = own[own["away"] == least]
    first = own.groupby(["family", "budget"])["point_id"].transform("first")
    return own[own["point_id"] == first]


def ranking(runs: pd.DataFrame) -> pd.DataFrame:
    """Rank the decompositions at each budget and compare each with the best.

    Args:
        runs: Rows of the `runs` table.

    Returns:
        One row per condition, budget and decomposition, best first, with `part`, `budget`,
        `family`, `label`, `num_params`, `mean` and its 95% t interval `low`, `high`. The comparison
        with the best is in `seeds`, `difference`, `difference_low`, `difference_high`, `effect`,
        `p`, `p_holm` (corrected over the tests of a condition) and `verdict`. Empty if `at_budgets`
        is.
    """
    metric = metric_of(runs)
    kept = at_budgets(runs)
    if kept.empty:
        return pd.DataFrame()
    parts = [
        _ranked(rows, metric, labels.points(rows)) for _, rows in kept.groupby("part", sort=False)
    ]
    return pd.concat(parts, ignore_index=True)


def _ranked(rows: pd.DataFrame, metric: Metric, names: dict[str, str]) -> pd.DataFrame:
    points, pairs = [], []
    for budget, own in rows.groupby("budget"):
        sides = {str(f): by_seed(group, metric.column) for f, group in own.groupby("family")}
        order = sorted(sides, key=lambda f: sides[f].mean(), reverse=not metric.less_is_better)
        for place, family in enumerate(order):
            first = records(own[own["family"] == family])[0]
            found = mean_interval(sides[family])
            facts = {"part": first["part"], "budget": int(str(budget)), "family": family}
            means = {"mean": found.mean, "low": found.low, "high": found.high}
            size = {"label": names[first["point_id"]], "num_params": int(first["num_params"])}
            points.append({**facts, **size, **means})
            if place:
                pairs.append((facts, sides[family], sides[order[0]]))
    tests = compare(pairs, less_is_better=metric.less_is_better)
    ends = {"low": "difference_low", "high": "difference_high"}
    table = pd.DataFrame(points).merge(
        tests.rename(columns=ends), on=["part", "budget", "family"], how="left"
    )
    return table.assign(verdict=table["verdict"].fillna(BEST))


def has_budgets(runs: pd.DataFrame) -> bool:
    """Return whether decompositions can be compared at two or more budgets."""
    try:
        kept = at_budgets(runs)
    except ValueError:
        return False
    return not kept.empty and several(kept["budget"])

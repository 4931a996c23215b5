"""Measure what permuting the input costs each decomposition, paired by seed."""

from __future__ import annotations

import json

import pandas as pd

from rankbench.analysis.metrics import Metric
from rankbench.analysis.names import NAMES
from rankbench.analysis.stats.contrasts import by_seed, compare
from rankbench.analysis.stats.intervals import mean_interval
from rankbench.analysis.summaries.budgets import metric_of
from rankbench.analysis.summaries.rows import done, records, several, text

OWN = "own"  # The original order, without permutation.
ORDERS = (OWN, "modes", "pixels")
BLOCKS = "block_term"  # BT claims that block terms are robust to permutation.


def ordered(runs: pd.DataFrame) -> pd.DataFrame:
    """Select the finished runs of layers that were run on their input in its own and another order.

    Args:
        runs: Rows of the `runs` table.

    Returns:
        The selected rows with the columns `order` (one of ORDERS) and `setting`, which is the same
        for all orders of a layer; empty if there are none.
    """
    finished = done(runs, "permutation", "num_params", metric_of(runs).column)
    orders = [text(row, "permute") or OWN for row in records(finished)]
    settings = [_setting(text(row, "config")) for row in records(finished)]
    told = finished.assign(order=orders, setting=settings)
    both = told.groupby("setting")["order"].transform(_with_others).astype(bool)
    known = told[both]
    return known.sort_values("family", key=lambda own: own.map(list(NAMES).index), kind="stable")


def _with_others(orders: pd.Series[str]) -> bool:
    return OWN in set(orders) and several(orders)


def _setting(config: str) -> str:
    """Return a point's settings without its permutation."""
    parts = json.loads(config or "{}")
    for name in ("permute", "permute_seed"):
        parts.get("task", {}).pop(name, None)
    return json.dumps(parts, sort_keys=True)


def has_orders(runs: pd.DataFrame) -> bool:
    """Return whether any layer was run on its input in two orders."""
    try:
        return not ordered(runs).empty
    except ValueError:
        return False


def means(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the mean of the metric for each layer and order.

    Returns:
        A frame with the columns `family`, `order`, `num_params`, `permutations` (their number),
        `mean` (over permutations and seeds) and its 95% t interval over seeds, `low`, `high`.
    """
    metric = metric_of(runs)
    rows = []
    for (_, order), own in ordered(runs).groupby(["setting", "order"], sort=False):
        first, found = records(own)[0], mean_interval(by_seed(own, metric.column))
        facts = {"family": first["family"], "order": order, "num_params": int(first["num_params"])}
        ends = {"mean": found.mean, "low": found.low, "high": found.high}
        rows.append({**facts, "permutations": own["point_id"].nunique(), **ends})
    return pd.DataFrame(rows)


def costs(runs: pd.DataFrame) -> pd.DataFrame:
    """Compare the metric on permuted input with that on the original order, paired by seed.

    Returns:
        One row per layer and kind of permutation: family, order, num_params, own, permuted, and the
        columns of `stats.contrasts.compare` for permuted minus own.
    """
    metric = metric_of(runs)
    pairs = []
    for _, own in ordered(runs).groupby("setting", sort=False):
        sides = _sides(own, metric)
        first = records(own)[0]
        for order in [name for name in ORDERS[1:] if name in sides]:
            facts = {
                "family": first["family"],
                "order": order,
                "num_params": int(first["num_params"]),
                "own": float(sides[OWN].mean()),
                "permuted": float(sides[order].mean()),
            }
            pairs.append((facts, sides[order], sides[OWN]))
    return compare(pairs, less_is_better=metric.less_is_better)


def against_blocks(runs: pd.DataFrame) -> pd.DataFrame:
    """Compare what a permutation costs block terms with what it costs each other decomposition.

    Returns:
        One row per other decomposition and kind of permutation: other, order, cost (of block
        terms), other_cost, and the columns of `stats.contrasts.compare`. The verdict "better" means
        that block terms lose less. Empty if there are no block terms.
    """
    metric = metric_of(runs)
    lost = {}
    for _, own in ordered(runs).groupby("setting", sort=False):
        sides = _sides(own, metric)
        for order in [name for name in ORDERS[1:] if name in sides]:
            lost[str(own["family"].iloc[0]), order] = sides[order] - sides[OWN]
    pairs = []
    for (family, order), cost in lost.items():
        own_cost = lost.get((BLOCKS, order))
        if family != BLOCKS and own_cost is not None:
            facts = {"other": family, "order": order, "cost": float(own_cost.mean())}
            pairs.append(({**facts, "other_cost": float(cost.mean())}, own_cost, cost))
    return compare(pairs, less_is_better=metric.less_is_better)


def _sides(rows: pd.DataFrame, metric: Metric) -> dict[str, pd.Series[float]]:
    return {str(order): by_seed(own, metric.column) for order, own in rows.groupby("order")}

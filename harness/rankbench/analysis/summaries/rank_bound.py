"""Test BT's advice on the Tucker-rank, at most min(I_k, J_k), and on the core order, 2 to 5."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from rankbench.analysis.stats.intervals import mean_interval
from rankbench.analysis.summaries.rows import done, entries, records

BUDGETS = (100, 250, 500, 1000, 1500)
_CHOSEN = ("core_order", "tucker_rank", "bound", "num_params", "mean")
SUGGESTED = range(2, 6)  # The core orders that BT Sec. 3.3 suggests.


def bound_of(in_modes: tuple[int, ...], out_modes: tuple[int, ...]) -> int:
    """Return the largest min(I_k, J_k). A larger R exceeds the bound of BT Eq. 10 in every mode.

    Args:
        in_modes: I_1 to I_d.
        out_modes: J_1 to J_d.
    """
    return max(min(i, j) for i, j in zip(in_modes, out_modes, strict=True))


def by_rank(runs: pd.DataFrame) -> pd.DataFrame:
    """Summarise the RMSE of block terms with N = 1 by target, core order and Tucker-rank R.

    Args:
        runs: Rows of the `runs` table.

    Returns:
        One row per target, core order and R: `mean`, `low` and `high` of the RMSE over seeds (95% t
        interval), `errors` by seed, `bound` and `num_params`. Empty if no run qualifies.
    """
    columns = ("rmse", "tucker_rank", "cp_rank", "target", "in_modes", "out_modes")
    try:
        found = done(runs, "rank_bound", *columns)
    except ValueError:
        return pd.DataFrame()
    found = found[(found["decomposition"] == "block_term") & (found["cp_rank"] == 1)]
    rows = []
    found = found[[*columns, "core_order", "num_params", "seed"]]
    for _, group in found.groupby(["target", "core_order", "tucker_rank"]):
        first, interval = records(group)[0], mean_interval(group["rmse"].astype(float))
        rows.append(
            {
                "target": first["target"],
                "core_order": int(first["core_order"]),
                "tucker_rank": int(first["tucker_rank"]),
                "bound": bound_of(entries(first, "in_modes"), entries(first, "out_modes")),
                "num_params": int(first["num_params"]),
                "mean": interval.mean,
                "low": interval.low,
                "high": interval.high,
                "errors": group.set_index("seed")["rmse"].astype(float).to_dict(),
            }
        )
    return pd.DataFrame(rows)


def beyond_bound(points: pd.DataFrame) -> pd.DataFrame:
    """Compare the error at the largest R within the bound with that at the next R beyond it.

    Args:
        points: The frame that `by_rank` returns.

    Returns:
        One row per target and core order. `gain` is the reduction of the error beyond the bound,
        paired by seed, with its 95% t interval.
    """
    rows = []
    for (target, d), group in points.groupby(["target", "core_order"]):
        within = group[group["tucker_rank"] <= group["bound"]].sort_values("tucker_rank")
        above = group[group["tucker_rank"] > group["bound"]].sort_values("tucker_rank")
        if not within.empty and not above.empty:
            at, beyond = records(within)[-1], records(above)[0]
            rows.append({"target": target, "core_order": d, **_gain(at, beyond)})
    return pd.DataFrame(rows)


def _gain(at: dict[str, Any], beyond: dict[str, Any]) -> dict[str, Any]:
    seeds = sorted(at["errors"].keys() & beyond["errors"].keys())
    pairs = [at["errors"][seed] - beyond["errors"][seed] for seed in seeds]
    found = mean_interval(pairs) if pairs else None
    return {
        "bound": at["bound"],
        "within": at["tucker_rank"],
        "within_params": at["num_params"],
        "within_rmse": at["mean"],
        "beyond": beyond["tucker_rank"],
        "beyond_params": beyond["num_params"],
        "beyond_rmse": beyond["mean"],
        "gain": found.mean if found else math.nan,
        "gain_low": found.low if found else math.nan,
        "gain_high": found.high if found else math.nan,
    }


def best_orders(points: pd.DataFrame) -> pd.DataFrame:
    """Find the core orders with the lowest and second lowest mean error within each budget.

    Args:
        points: The frame that `by_rank` returns.

    Returns:
        One row per target and budget of parameters. `suggested` says whether the best core order is
        in SUGGESTED.
    """
    rows = []
    for target, group in points.groupby("target"):
        for budget in BUDGETS:
            fitting = group[group["num_params"] <= budget].sort_values("mean")
            firsts = records(fitting.drop_duplicates("core_order"))
            if len(firsts) > 1:
                best, second = firsts[:2]
                rows.append(
                    {
                        "target": target,
                        "budget": budget,
                        **{
                            key: best[key]
                            for key in ("core_order", "tucker_rank", "bound", "num_params", "mean")
                        },
                        "second_order": second["core_order"],
                        "second_mean": second["mean"],
                        "suggested": best["core_order"] in SUGGESTED,
                    }
                )
    return pd.DataFrame(rows)


def fewest_parameters(runs: pd.DataFrame) -> pd.DataFrame:
    """Find the core order with the fewest parameters for block terms with N = 1 (BT Fig. 5).

    Args:
        runs: Rows of the `runs` table.

    Returns:
        One row per size and R that was counted at three core orders or more. `suggested` says
        whether the core order is in SUGGESTED; `within` is the fewest parameters of those.
    """
    try:
        found = done(runs, "fewest", "num_params", "tucker_rank", "core_order", "cp_rank")
    except ValueError:
        return pd.DataFrame()
    found = found[(found["decomposition"] == "block_term") & (found["cp_rank"] == 1)]
    rows = []
    for _, group in found.groupby(["in_features", "out_features", "tucker_rank"]):
        first = records(group)[0]
        counts = group.groupby("core_order")["num_params"].min().astype(int)
        suggested = counts[counts.index.isin(SUGGESTED)]
        if len(counts) > 2 and not suggested.empty:
            order = _least(counts)
            rows.append(
                {
                    "in_features": int(first["in_features"]),
                    "out_features": int(first["out_features"]),
                    "tucker_rank": int(first["tucker_rank"]),
                    "core_order": order,
                    "num_params": int(counts.min()),
                    "suggested": order in SUGGESTED,
                    "within_order": _least(suggested),
                    "within": int(suggested.min()),
                }
            )
    return pd.DataFrame(rows)


def _least(counts: pd.Series[int]) -> int:
    """Return the label of the smallest count."""
    return int(counts.index[int(counts.to_numpy().argmin())])

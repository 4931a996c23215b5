"""Tables that test BT's advice: Tucker-rank up to min(I_k, J_k), core order from 2 to 5."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from rankbench.analysis.summaries import labels
from rankbench.analysis.summaries.complexity import TASK
from rankbench.analysis.summaries.rank_bound import (
    best_orders,
    beyond_bound,
    by_rank,
    fewest_parameters,
)
from rankbench.analysis.summaries.rows import Row, records
from rankbench.analysis.tables.sheet import Sheet

YES_NO = {True: "yes", False: "no"}


def bound_sheets(frames: dict[str, pd.DataFrame]) -> dict[str, Sheet]:
    """Return those of `rank_bound`, `best_order` and `fewest_parameters` that a study allows.

    Args:
        frames: The tables of a study by name; only `runs` is read, without its sweeps.
    """
    runs = frames["runs"]
    runs = runs[~(runs["task"] == TASK).fillna(False)]
    points = by_rank(runs)
    found = {
        "rank_bound": _sheet(
            "BT Eq. 10: does R beyond min(I_k, J_k) lower the error?",
            beyond_bound(points) if not points.empty else points,
            _bound_line,
            (
                "RMSE of W at the largest R within the bound and at the next R, N = 1; gain: "
                "paired by seed, 95% t interval",
            ),
        ),
        "best_order": _sheet(
            "BT Sec. 3.3: is a core order of 2 to 5 best for the error?",
            best_orders(points) if not points.empty else points,
            _order_line,
            ("lowest mean RMSE of W with so many parameters at most, N = 1; the next core order",),
        ),
        "fewest_parameters": _sheet(
            "BT Fig. 5: core order with the fewest parameters",
            fewest_parameters(runs),
            _fewest_line,
            ("N = 1; the fewest among core orders 2 to 5 stand beside it",),
        ),
    }
    return {name: sheet for name, sheet in found.items() if sheet is not None}


def _sheet(
    title: str, numbers: pd.DataFrame, line: Callable[[Row], Row], notes: tuple[str, ...]
) -> Sheet | None:
    if numbers.empty:
        return None
    shown = pd.DataFrame([line(row) for row in records(numbers)])
    return Sheet(title=title, numbers=numbers, shown=shown, notes=notes)


def _bound_line(row: Row) -> Row:
    low, high = labels.value(row["gain_low"]), labels.value(row["gain_high"])
    return {
        "W": row["target"],
        "d": row["core_order"],
        "bound": row["bound"],
        "R within, parameters": f"{row['within']}; {row['within_params']}",
        "RMSE": labels.value(row["within_rmse"]),
        "R beyond, parameters": f"{row['beyond']}; {row['beyond_params']}",
        "RMSE beyond": labels.value(row["beyond_rmse"]),
        "gain": f"{labels.value(row['gain'])} [{low}, {high}]",
    }


def _order_line(row: Row) -> Row:
    return {
        "W": row["target"],
        "parameters at most": row["budget"],
        "best d": row["core_order"],
        "its R (bound)": f"{row['tucker_rank']} ({row['bound']})",
        "RMSE": labels.value(row["mean"]),
        "next d": row["second_order"],
        "its RMSE": labels.value(row["second_mean"]),
        "in 2 to 5": YES_NO[row["suggested"]],
    }


def _fewest_line(row: Row) -> Row:
    return {
        "I -> J": f"{row['in_features']} -> {row['out_features']}",
        "R": row["tucker_rank"],
        "best d": row["core_order"],
        "parameters": row["num_params"],
        "in 2 to 5": YES_NO[row["suggested"]],
        "best d in 2 to 5": row["within_order"],
        "its parameters": row["within"],
    }

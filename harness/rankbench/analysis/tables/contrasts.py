"""Tables of paired comparisons: decompositions at equal parameters, and permuted inputs."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from rankbench.analysis.names import NAMES
from rankbench.analysis.stats.contrasts import NOTE
from rankbench.analysis.summaries import labels
from rankbench.analysis.summaries.budgets import BEST, metric_of, ranking
from rankbench.analysis.summaries.permutations import against_blocks, costs, has_orders
from rankbench.analysis.summaries.rows import Row, records
from rankbench.analysis.tables.sheet import NOTHING, Sheet

_EXACT = 1e-4  # Smaller p values are printed as "<0.0001".


def contrast_sheets(frames: dict[str, pd.DataFrame]) -> dict[str, Sheet]:
    """Return those of `budget`, `permutation` and `permutation_bt` that a study allows.

    Args:
        frames: The tables of a study by name; only `runs` is read.

    Returns:
        Sheets by name; empty if no finished run has any of the metrics in LEARNED.
    """
    runs = frames["runs"]
    try:
        metric = metric_of(runs)
    except ValueError:
        return {}
    found = {"budget": _sheet(ranking(runs), "Best at equal parameters", metric.name, _budget_line)}
    if has_orders(runs):
        title = "What another order of the input costs"
        found["permutation"] = _sheet(costs(runs), title, metric.name, _order_line)
        title = "What another order costs block terms, beside the others"
        found["permutation_bt"] = _sheet(against_blocks(runs), title, metric.name, _blocks_line)
    return {name: sheet for name, sheet in found.items() if sheet is not None}


def _sheet(
    numbers: pd.DataFrame, title: str, metric: str, line: Callable[[Row], Row]
) -> Sheet | None:
    if numbers.empty:
        return None
    shown = pd.DataFrame([line(row) for row in records(numbers)])
    return Sheet(title=f"{title}: {metric}", numbers=numbers, shown=shown, notes=(NOTE,))


def _budget_line(row: Row) -> Row:
    facts = {"of": row["part"] or NOTHING, "budget": row["budget"], "layer": row["label"]}
    mean = f"{labels.value(row['mean'])} [{_ends(row['low'], row['high'])}]"
    facts |= {"parameters": row["num_params"], "mean [95% t]": mean}
    if row["verdict"] == BEST:
        return {**facts, "less the best": NOTHING, "g": NOTHING, "p": NOTHING, "verdict": BEST}
    ends = _ends(row["difference_low"], row["difference_high"])
    return {**facts, "less the best": f"{_signed(row['difference'])} [{ends}]", **_test(row)}


def _order_line(row: Row) -> Row:
    return {
        "layer": NAMES[row["family"]],
        "parameters": row["num_params"],
        "order": row["order"],
        "own": labels.value(row["own"]),
        "permuted": labels.value(row["permuted"]),
        "change": f"{_signed(row['difference'])} [{_ends(row['low'], row['high'])}]",
        **_test(row),
    }


def _blocks_line(row: Row) -> Row:
    return {
        "order": row["order"],
        "change of block terms": _signed(row["cost"]),
        "other": NAMES[row["other"]],
        "its change": _signed(row["other_cost"]),
        "difference": f"{_signed(row['difference'])} [{_ends(row['low'], row['high'])}]",
        **_test(row),
    }


def _test(row: Row) -> Row:
    p = row["p_holm"]
    shown = f"<{_EXACT:g}" if p < _EXACT else f"{p:.2g}"
    return {"g": f"{row['effect']:.1f}", "p": shown, "verdict": row["verdict"]}


def _ends(low: float, high: float) -> str:
    return f"{_signed(low)}, {_signed(high)}" if low < 0 else f"{_plain(low)}, {_plain(high)}"


def _signed(number: float) -> str:
    return f"{number:+.3g}"


def _plain(number: float) -> str:
    return labels.value(number)

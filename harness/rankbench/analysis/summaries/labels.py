"""Name points for legends, and format numbers for readers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from rankbench.analysis.names import SHORT
from rankbench.analysis.summaries.rows import Row, entries, family, integer, records, text, varying
from rankbench.common.text import ratio

# Facts beyond decomposition and ranks: column -> format of its value in a label.
_FACTS: dict[str, str] = {
    "core_order": "d={}",
    "cell": "{}",
    "hidden_size": "h={}",
    "target": "{}",
    "noise": "noise {:g}",
    "samples": "{} samples",
    "permute": "{} permuted",
    "split": "{} split",
    "learner": "{}",
    "contender": "{}",
    "rows": "{} rows",
    "dtype": "{}",
    "plan": "{} plan",
}
# The columns that labels need: converting whole rows of thousands of points takes seconds.
_READ = (
    *("point_id", "config", "decomposition", "ranks", "rank"),
    *("cp_rank", "tucker_rank", "tt_rank", "tr_rank", *_FACTS),
)


def ranks(row: Row) -> str:
    """Format the ranks of a run as papers write them: R=4 N=2. Unequal ranks become a range."""
    kind = text(row, "decomposition")
    if kind == "low_rank":
        return f"R={integer(row, 'rank')}"
    if kind == "cp":
        return f"N={integer(row, 'cp_rank')}"
    if kind == "tucker":
        return f"R={_span(entries(row, 'ranks'), integer(row, 'tucker_rank'))}"
    if kind == "block_term":
        own = entries(row, "ranks")[:-1]  # The last rank is N.
        return f"R={_span(own, integer(row, 'tucker_rank'))} N={integer(row, 'cp_rank')}"
    if kind == "tensor_train":
        return f"R={_span(entries(row, 'ranks')[1:-1], integer(row, 'tt_rank'))}"
    if kind == "tensor_ring":
        return f"R={_span(entries(row, 'ranks'), integer(row, 'tr_rank'))}"
    return ""


def _span(values: tuple[int, ...], largest: int | None) -> str:
    if largest is None or not values or max(values) != largest:
        return str(largest)
    return str(largest) if min(values) == largest else f"{min(values)}–{largest}"


def setting(row: Row, names: Mapping[str, str] = SHORT) -> str:
    """Format decomposition and ranks: 'BT R=4 N=2'.

    A dense map in a cell is named by the cell: 'LSTM'.

    Args:
        row: A row of the `runs` table.
        names: Decomposition -> its name.
    """
    kind = family(row)
    if kind == "dense" and text(row, "cell"):
        return text(row, "cell").upper()
    return f"{names[kind]} {ranks(row)}".strip()


def count(number: float) -> str:
    """Format a number of parameters: small ones in full (3392), large ones shortened (59.0M)."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e5, "k")):
        if number >= size:
            return f"{number / (1e3 if letter == 'k' else size):.1f}{letter}"
    return f"{number:.0f}"


def size(row: Row) -> str:
    """Format the compression ratio, 'CR 17388x', or the size of a dense map, '59.0M parameters'."""
    if text(row, "decomposition") == "dense":
        return f"{count(row['num_params'])} parameters"
    return f"CR {ratio(row['compression_ratio'])}"


def value(number: float) -> str:
    """Format a metric to three significant digits: 0.853, 0.00571, 1.20e-05."""
    if number == 0 or not math.isfinite(number):
        return f"{number:g}"
    return f"{number:#.3g}".rstrip(".") if abs(number) < 1e3 else f"{number:.0f}"


def plus_minus(mean: float, half: float) -> str:
    """Format a mean and the half width of its interval to the same decimals: 0.853 ± 0.012."""
    shown = value(mean)
    if "e" in shown or "." not in shown:
        return f"{shown} ± {half:.2g}"
    decimals = len(shown.partition(".")[2])
    if 0 < half < 0.5 * 10**-decimals:
        return f"{shown} ± <{10**-decimals:.{decimals}f}"
    return f"{shown} ± {half:.{decimals}f}"


def points(runs: pd.DataFrame, names: Mapping[str, str] = SHORT) -> dict[str, str]:
    """Give each point a unique label.

    Points that share decomposition and ranks also show what distinguishes them: the facts in the
    columns, then the settings in their `config`, then the start of their point_id.

    Args:
        runs: Rows of the `runs` table.
        names: Decomposition -> its name.

    Returns:
        Labels by point_id.
    """
    known = [column for column in _READ if column in runs.columns]
    firsts = runs.drop_duplicates("point_id")[known]
    labels = {row["point_id"]: setting(row, names) for row in records(firsts)}
    for tell_apart in (_facts, _settings, _hashes):
        for label, group in _shared(labels).items():
            more = tell_apart(firsts[firsts["point_id"].isin(group)])
            labels.update({point: f"{label} {more[point]}".strip() for point in group})
    return labels


def _shared(labels: dict[str, str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for point, label in labels.items():
        groups.setdefault(label, []).append(point)
    return {label: group for label, group in groups.items() if len(group) > 1}


def _facts(rows: pd.DataFrame) -> dict[str, str]:
    differing = varying(rows, tuple(_FACTS))
    facts = {}
    for row in records(rows):
        known = [c for c in differing if not pd.isna(row[c])]
        facts[row["point_id"]] = " ".join(_FACTS[c].format(row[c]) for c in known)
    return facts


def _settings(rows: pd.DataFrame) -> dict[str, str]:
    flat = {row["point_id"]: _flat(text(row, "config")) for row in records(rows)}
    keys = sorted({key for one in flat.values() for key in one})
    differing = [key for key in keys if len({str(one.get(key)) for one in flat.values()}) > 1]
    return {
        point: " ".join(f"{key.rsplit('.', 1)[-1]}={one.get(key)}" for key in differing)
        for point, one in flat.items()
    }


def _flat(config: str) -> dict[str, Any]:
    """Flatten a JSON object: the leaves under dotted names."""
    flat: dict[str, Any] = {}
    todo = [("", json.loads(config or "{}"))]
    while todo:
        prefix, branch = todo.pop()
        for key, leaf in branch.items():
            if isinstance(leaf, dict):
                todo.append((f"{prefix}{key}.", leaf))
            else:
                flat[prefix + key] = leaf
    return flat


def _hashes(rows: pd.DataFrame) -> dict[str, str]:
    return {point: f"#{point[:6]}" for point in rows["point_id"]}

"""What a setting is called in a legend, and numbers as a reader takes them in."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from rankbench.analysis.names import SHORT
from rankbench.analysis.summaries.rows import Row, entries, family, integer, records, text, varying
from rankbench.common.text import ratio

# Beyond decomposition and ranks: column -> how its value is written behind a name.
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
# What a label is made of: taking apart whole rows of thousands of points takes seconds.
_READ = (
    *("point_id", "config", "decomposition", "ranks", "rank"),
    *("cp_rank", "tucker_rank", "tt_rank", "tr_rank", *_FACTS),
)


def ranks(row: Row) -> str:
    """The ranks of a run as papers write them: R=4 N=2; a range where they differ."""
    kind = text(row, "decomposition")
    if kind == "low_rank":
        return f"R={integer(row, 'rank')}"
    if kind == "cp":
        return f"N={integer(row, 'cp_rank')}"
    if kind == "tucker":
        return f"R={_span(entries(row, 'ranks'), integer(row, 'tucker_rank'))}"
    if kind == "block_term":
        own = entries(row, "ranks")[:-1]  # the last one is N
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
    """Decomposition and ranks: 'BT R=4 N=2'; a dense map in a cell is the cell: 'LSTM'."""
    kind = family(row)
    if kind == "dense" and text(row, "cell"):
        return text(row, "cell").upper()
    return f"{names[kind]} {ranks(row)}".strip()


def count(number: float) -> str:
    """A number of parameters: 3392 as it is, 59.0M where it is long."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e5, "k")):
        if number >= size:
            return f"{number / (1e3 if letter == 'k' else size):.1f}{letter}"
    return f"{number:.0f}"


def size(row: Row) -> str:
    """'CR 17388x', or '59.0M parameters' where nothing is compressed."""
    if text(row, "decomposition") == "dense":
        return f"{count(row['num_params'])} parameters"
    return f"CR {ratio(row['compression_ratio'])}"


def value(number: float) -> str:
    """A metric to three digits that count: 0.853, 0.00571, 1.20e-05."""
    if number == 0 or not math.isfinite(number):
        return f"{number:g}"
    return f"{number:#.3g}".rstrip(".") if abs(number) < 1e3 else f"{number:.0f}"


def plus_minus(mean: float, half: float) -> str:
    """A mean and the half width of its interval, to the same decimals: 0.853 ± 0.012."""
    shown = value(mean)
    if "e" in shown or "." not in shown:
        return f"{shown} ± {half:.2g}"
    decimals = len(shown.partition(".")[2])
    if 0 < half < 0.5 * 10**-decimals:
        return f"{shown} ± <{10**-decimals:.{decimals}f}"
    return f"{shown} ± {half:.{decimals}f}"


def points(runs: pd.DataFrame, names: Mapping[str, str] = SHORT) -> dict[str, str]:
    """A label per point_id, no two alike.

    Points that share decomposition and ranks also show what differs between them: the facts in
    the columns, else the settings of their `config`, else the start of their point_id.
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
    """The leaves of a JSON object under dotted names."""
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

"""Format points and numbers for a person to read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any


def label(row: Mapping[str, Any]) -> str:
    """Describe the layer of a point in one phrase.

    Args:
        row: The columns of `runs`. Rank columns may be missing or None.

    Returns:
        The decomposition, its core-order d and its ranks: "block_term d=4 R=2 N=1".
    """
    parts = [str(row["decomposition"])]
    if row.get("learner") == "least_squares":
        parts = ["least_squares"]
    if row["decomposition"] not in ("dense", "low_rank"):
        parts.append(f"d={row['core_order']}")
    letters = {"rank": "r", "tucker_rank": "R", "cp_rank": "N", "tt_rank": "R", "tr_rank": "R"}
    parts += [f"{sign}={row[name]}" for name, sign in letters.items() if row.get(name) is not None]
    return " ".join(parts)


def duration(seconds: float) -> str:
    """Format seconds in the unit a person would use: "4.2 s", "3.3 min", "2.1 h"."""
    for limit, unit in ((3600, "h"), (60, "min")):
        if seconds >= limit:
            return f"{seconds / limit:.1f} {unit}"
    return f"{seconds:.1f} s"


def count(value: float) -> str:
    """Format a count, from a million on with a unit prefix: "3,392", "884 M"."""
    for limit, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if value >= limit:
            return f"{value / limit:.3g} {prefix}"
    return f"{round(value):,}"


def ratio(value: float) -> str:
    """Format a compression ratio: "12.3x"; from 100 on rounded down, as in the papers: "17388x"."""
    return f"{math.floor(value)}x" if value >= 100 else f"{value:.1f}x"


def metric(value: object) -> str:
    """Format a measured number with four significant digits, or a dash if it is None or NaN."""
    return "-" if value is None or value != value else f"{value:.4g}"


def plain(text: str) -> str:
    """Escape every unprintable character of `text`, so that a terminal does not interpret it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def status_counts(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return how many rows have each status, such as "12 done, 1 timeout"; "none" without rows."""
    counts = Counter(row["status"] for row in rows)
    return ", ".join(f"{number} {status}" for status, number in sorted(counts.items())) or "none"

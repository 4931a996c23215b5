"""How points and numbers are written on a screen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def label(row: Mapping[str, Any]) -> str:
    """A point's layer in one phrase, from the columns of `runs`: "block_term d=4 R=2 N=1"."""
    parts = [str(row["decomposition"])]
    if row.get("learner") == "least_squares":
        parts = ["least_squares"]
    if row["decomposition"] not in ("dense", "low_rank"):
        parts.append(f"d={row['core_order']}")
    letters = {"rank": "r", "tucker_rank": "R", "cp_rank": "N", "tt_rank": "R", "tr_rank": "R"}
    parts += [f"{sign}={row[name]}" for name, sign in letters.items() if row.get(name) is not None]
    return " ".join(parts)


def duration(seconds: float) -> str:
    """Seconds as a person says them: "4.2 s", "3.3 min", "2.1 h"."""
    for limit, unit in ((3600, "h"), (60, "min")):
        if seconds >= limit:
            return f"{seconds / limit:.1f} {unit}"
    return f"{seconds:.1f} s"


def count(value: float) -> str:
    """A count with its unit prefix: 3392 -> "3,392", 884000000 -> "884 M"."""
    for limit, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if value >= limit:
            return f"{value / limit:.3g} {prefix}"
    return f"{round(value):,}"


def ratio(value: float) -> str:
    """A compression ratio; from 100 on cut to a whole number, as the papers print it."""
    return f"{math.floor(value)}x" if value >= 100 else f"{value:.1f}x"


def metric(value: object) -> str:
    """A measured number in four digits, a dash where there is none."""
    return "-" if value is None or value != value else f"{value:.4g}"


def plain(text: str) -> str:
    """`text` with control characters as a person reads them: a terminal obeys none of it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)

"""Tables of fitted complexity exponents, beside the exponents that the papers claim."""

from __future__ import annotations

import math

import pandas as pd

from rankbench.analysis.names import NAMES
from rankbench.analysis.stats.exponents import CANNOT_TELL, HOLDS, LOOSER, VIOLATED
from rankbench.analysis.summaries.complexity import (
    DIRECTIONS,
    METHODS,
    QUANTITIES,
    TASK,
    VARIABLES,
    exponents,
    rounded,
)
from rankbench.analysis.summaries.rows import records
from rankbench.analysis.tables.sheet import NOTHING, Sheet

SIGNS = {HOLDS: "holds", LOOSER: "looser", VIOLATED: "**violated**", CANNOT_TELL: "?"}
NOTES = (
    "exponents by least squares on logarithms from the point on where measured / claimed is one "
    "power law; the claim's is that of the printed expression at the same points; ±: 95% t "
    "interval of the exponent of measured / claimed",
    "holds: that exponent of measured / claimed is within 0.25 of 0; looser than needed: below "
    "-0.1; violated: above 0.1; cannot tell: its interval is too wide, or fewer than 4 points",
    "what is timed ends far below what is counted: there fixed costs still flatten times",
)
_SIZES = (
    "512 -> 4 x 512 in 3 modes, gates fused into the first output mode, R=4, N=2, 32 rows, one of "
    "them varied, I and J in all modes alike; over d 4096 -> 4 x 4096, R=2, 4 rows"
)


def complexity_sheets(frames: dict[str, pd.DataFrame]) -> dict[str, Sheet]:
    """Return the tables of a complexity sweep: `orders`, `exponents_time` and `exponents_memory`.

    Args:
        frames: The tables of a study by name; `runs` and `samples` are read.

    Returns:
        Sheets by name; empty if the study has no finished sweep.
    """
    runs = frames["runs"]
    here = runs[(runs["task"] == TASK).fillna(False) & (runs["status"] == "done").fillna(False)]
    if here.empty:
        return {}
    found = exponents(here, frames["samples"])
    return {
        "orders": orders_sheet(found),
        "exponents_time": exponents_sheet(found, "time"),
        "exponents_memory": exponents_sheet(found, "memory"),
    }


def exponents_sheet(found: pd.DataFrame, claim: str) -> Sheet:
    """Tabulate claimed and fitted exponents for every method, direction and variable.

    Args:
        found: The frame that `summaries.complexity.exponents` returns.
        claim: Which claim to compare with, "time" or "memory".
    """
    quantities = [name for name, q in QUANTITIES.items() if q.claim == claim]
    numbers = found[found["quantity"].isin(quantities)].reset_index(drop=True)
    keys = ["decomposition", "direction", "sweep"]
    lines = []
    for (kind, direction, variable), rows in numbers.groupby(keys, sort=False):
        exact = rows[rows["quantity"] == quantities[0]].iloc[0]
        line = {
            "method": NAMES[str(kind)],
            "pass": str(direction),
            "claim": str(exact["claim"]),
            "over": str(variable),
            "claimed": rounded(exact["claimed"]),
        }
        for name in quantities:
            for plan in ("paper", "auto"):
                own = rows[(rows["quantity"] == name) & (rows["plan"] == plan)]
                line[f"{QUANTITIES[name].name}, {plan}"] = _cell(own)
        lines.append(line)
    return Sheet(
        title=f"Exponents of {claim}: claimed and found",
        numbers=numbers,
        shown=pd.DataFrame(lines),
        notes=(_SIZES, *NOTES),
    )


def _cell(rows: pd.DataFrame) -> str:
    if rows.empty:
        return NOTHING
    row = records(rows)[0]
    if math.isnan(row["difference_low"]):
        return f"{row['points']} points; {CANNOT_TELL}"
    half = (row["difference_high"] - row["difference_low"]) / 2
    return f"{rounded(row['exponent'])} ± {half:.2f} from {row['start']}; {row['verdict']}"


def orders_sheet(found: pd.DataFrame) -> Sheet:
    """Tabulate the FLOPs exponents of the papers' contraction orders.

    The table has a row per method and direction, and a column per variable.

    Args:
        found: The frame that `summaries.complexity.exponents` returns.
    """
    numbers = found[(found["quantity"] == "flops") & (found["plan"] == "paper")]
    lines = []
    for kind in METHODS:
        for direction in DIRECTIONS:
            own = numbers[numbers["decomposition"] == kind]
            rows = own[own["direction"] == direction]
            if not rows.empty:
                lines.append({"method": NAMES[kind], "pass": direction, **_brief(rows)})
    return Sheet(
        title="FLOPs of the papers' orders of contraction: exponent claimed -> found",
        numbers=numbers.reset_index(drop=True),
        shown=pd.DataFrame(lines),
        notes=(_SIZES, *NOTES),
    )


def _brief(rows: pd.DataFrame) -> dict[str, str]:
    line = {"claim": str(rows["claim"].iloc[0])} | dict.fromkeys(VARIABLES, NOTHING)
    for row in records(rows):
        found = f"{rounded(row['claimed'])} -> {rounded(row['exponent'])}"
        line[row["sweep"]] = f"{found}; {SIGNS[row['verdict']]}"
    return line

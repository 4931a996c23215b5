"""Compare measured costs of a sweep with the papers' orders of time and memory.

The costs are FLOPs, processor times, tensor sizes and peak memory. Each is fitted with a power
law in the variable that was swept, and its exponent is compared with that of the printed claim.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import sympy
from sympy.parsing import sympy_parser

from rankbench.analysis.published import PUBLISHED_COMPLEXITY, PublishedComplexity
from rankbench.analysis.stats.exponents import LEAST, Fit, asymptotic_start, fit, verdict
from rankbench.analysis.summaries.rows import Row, done, entries, integer, records

TASK = "validate"
DIRECTIONS = ("forward", "backward")
VARIABLES = ("I", "J", "R", "N", "d", "batch")
METHODS: dict[str, str] = {  # decomposition -> the method whose claims apply
    "dense": "RNN",
    "tensor_train": "TT-RNN",
    "block_term": "BT-RNN",
    "tensor_ring": "TR-RNN",
    "cp": "BT-RNN",  # with R = 1
    "tucker": "BT-RNN",  # with N = 1
}
_SYMBOLS = ("I", "J", "I_max", "J_max", "R", "N", "d", "n", "m")
_RANKS = ("tucker_rank", "tt_rank", "tr_rank")
_SIZED = ("decomposition", "rows", "in_modes", "out_modes", "cp_rank", *_RANKS)
_GRAMMAR = (
    *sympy_parser.standard_transformations,
    sympy_parser.implicit_multiplication,
    sympy_parser.convert_xor,
)


@dataclass(frozen=True)
class Quantity:
    """A measured cost and the claim that it is compared with."""

    name: str
    """The name in print."""
    claim: str
    """The claim to compare with: "time" or "memory"."""
    columns: dict[str, str]
    """Direction ("forward", "backward") -> column that holds the cost."""
    unit: str
    """The unit in print."""


QUANTITIES: dict[str, Quantity] = {
    "flops": Quantity(
        "FLOPs", "time", {"forward": "forward_flops", "backward": "backward_flops"}, "FLOPs"
    ),
    "time": Quantity(
        "time", "time", {"forward": "forward_cpu_ms", "backward": "backward_cpu_ms"}, "ms"
    ),
    "tensor": Quantity(
        "largest tensor",
        "memory",
        {"forward": "largest_intermediate", "backward": "largest_gradient"},
        "elements",
    ),
    "peak": Quantity(
        "peak memory",
        "memory",
        {"forward": "forward_peak_mb", "backward": "backward_peak_mb"},
        "MB",
    ),
}


def claim_of(decomposition: str, direction: str) -> PublishedComplexity:
    """Return the published claim for a decomposition and a direction.

    CP and Tucker are special cases of block terms and share their claim.

    Args:
        decomposition: A key of METHODS.
        direction: "forward" or "backward".
    """
    method = METHODS[decomposition]
    (found,) = (c for c in PUBLISHED_COMPLEXITY if (c.method, c.direction) == (method, direction))
    return found


@functools.cache
def _compiled(text: str) -> Any:
    names = {name: sympy.Symbol(name, positive=True) for name in _SYMBOLS}
    expression = sympy_parser.parse_expr(
        text, local_dict={**names, "max": sympy.Max}, transformations=_GRAMMAR
    )
    return sympy.lambdify([names[name] for name in _SYMBOLS], expression, "math")


def claimed(text: str, row: Row) -> float:
    """Evaluate the expression of a claim at the sizes and ranks of a run.

    The gates are part of J and of its first mode. R and N are 1 for a decomposition without them.

    Args:
        text: The expression as printed, for example "N d I R^d J_max".
        row: A row of the `runs` table.
    """
    inputs, outputs = entries(row, "in_modes"), entries(row, "out_modes")
    ranks = [integer(row, name) for name in _RANKS]
    values = {
        "I": math.prod(inputs),
        "J": math.prod(outputs),
        "I_max": max(inputs),
        "J_max": max(outputs),
        "R": next((rank for rank in ranks if rank is not None), 1),
        "N": integer(row, "cp_rank") or 1,
        "d": len(inputs),
        "n": len(inputs),
        "m": len(outputs),
    }
    return float(_compiled(text)(*(values[name] for name in _SYMBOLS)))


def swept(runs: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Return the points of every sweep, with their median processor times.

    If a point has several runs, one with times is preferred to one with counts only.

    Args:
        runs: Rows of the `runs` table.
        samples: Rows of the `samples` table.

    Returns:
        One row per point, with the columns `forward_cpu_ms` and `backward_cpu_ms`.

    Raises:
        ValueError: If no finished run belongs to a sweep.
    """
    found = done(runs, "exponents", "sweep", "swept", "forward_flops", "rows")
    for phase in DIRECTIONS:
        own = samples[samples["phase"] == phase]
        medians = own.groupby("run_id")["cpu_ms"].median()
        found[f"{phase}_cpu_ms"] = found["run_id"].map(medians).astype(float)
    key = ["decomposition", "plan", "sweep", "swept"]
    ordered = found.sort_values([*key, "forward_cpu_ms"], na_position="last", kind="stable")
    return ordered.drop_duplicates(key, ignore_index=True)


def rounded(exponent: float) -> str:
    """Format an exponent to two decimals, never as "-0.00"."""
    return f"{round(exponent, 2) + 0.0:.2f}"


def with_claims(points: pd.DataFrame, direction: str, kind: str) -> pd.Series[float]:
    """Evaluate the claim for each point.

    Args:
        points: Points of one decomposition or several, as `swept` returns them.
        direction: "forward" or "backward".
        kind: "time" or "memory". Claims of time hold for one row of a batch and are multiplied by
            the number of rows.
    """
    values = [
        claimed(getattr(claim_of(row["decomposition"], direction), kind), row)
        * (int(row["rows"]) if kind == "time" else 1)
        for row in records(points[list(_SIZED)])
    ]
    return pd.Series(values, index=points.index, dtype=float)


def exponents(
    runs: pd.DataFrame, samples: pd.DataFrame, quantities: Sequence[str] = tuple(QUANTITIES)
) -> pd.DataFrame:
    """Fit the exponent of each quantity in each swept variable and compare it with the claim.

    The quantity and the claim are fitted on the same points: those from `start` on, where
    measured / claimed follows a single power law. The exponent of that ratio, `difference`,
    determines the `verdict`. Claims of memory hold for a single row, so they are not compared in
    sweeps of the batch size.

    Args:
        runs: Rows of the `runs` table.
        samples: Rows of the `samples` table.
        quantities: Keys of QUANTITIES.

    Returns:
        One row per decomposition, direction, plan, variable and quantity: `exponent` of the
        quantity with `low` and `high`, `claimed` of the claim, `difference` with `difference_low`
        and `difference_high`, `verdict`, the printed `claim`, the number of fitted `points`, and
        `intercept`, the logarithm of the quantity's factor.

    Raises:
        ValueError: If no finished run belongs to a sweep.
    """
    points = swept(runs, samples)
    asked = {name: QUANTITIES[name] for name in quantities}
    found = [
        row
        for (decomposition, plan, variable), group in points.groupby(
            ["decomposition", "plan", "sweep"], sort=False
        )
        for row in _rows(
            group, {"decomposition": decomposition, "plan": plan, "sweep": variable}, asked
        )
    ]
    frame = pd.DataFrame(found)
    order = [list(METHODS).index(d) for d in frame["decomposition"]]
    variables = [VARIABLES.index(v) for v in frame["sweep"]]
    directions = [DIRECTIONS.index(d) for d in frame["direction"]]
    keys = frame.assign(a=order, b=directions, c=variables)
    ordered = keys.sort_values(["a", "b", "c", "plan"], ascending=[True, True, True, False])
    return ordered.drop(columns=["a", "b", "c"]).reset_index(drop=True)


def _rows(
    group: pd.DataFrame, key: dict[str, Any], quantities: dict[str, Quantity]
) -> Iterator[dict[str, Any]]:
    for direction in DIRECTIONS:
        for name, quantity in quantities.items():
            if key["sweep"] == "batch" and quantity.claim == "memory":
                continue
            claim = with_claims(group, direction, quantity.claim)
            text = getattr(claim_of(key["decomposition"], direction), quantity.claim)
            measured = group[quantity.columns[direction]].astype(float)
            known = measured > 0
            if known.any():
                own = {**key, "direction": direction, "quantity": name, "claim": text}
                x = group["swept"].astype(float)
                yield own | _compared(*(np.asarray(c[known]) for c in (x, measured, claim)))


def _compared(x: np.ndarray, measured: np.ndarray, claim: np.ndarray) -> dict[str, Any]:
    """Fit measured values and those of a claim, and return the columns of `exponents`."""
    ratio = measured / claim
    start = asymptotic_start(x, ratio)
    tail = x[start:]
    own, bound, apart = (fit(tail, values[start:]) for values in (measured, claim, ratio))
    enough = len(tail) >= LEAST
    nothing = Fit(exponent=math.nan, low=math.nan, high=math.nan, intercept=math.nan)
    return {
        "claimed": bound.exponent,
        "exponent": own.exponent,
        "low": own.low,
        "high": own.high,
        "difference": apart.exponent,
        "difference_low": apart.low,
        "difference_high": apart.high,
        "start": int(tail[0]),
        "points": len(tail),
        "intercept": own.intercept,
        "verdict": verdict(apart if enough else nothing),
    }

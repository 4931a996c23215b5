"""Read the objectives and constraints that the newest runs of a study were searched with."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from rankbench.study.bounds import Bound


def objectives(runs: pd.DataFrame) -> tuple[dict[str, str], tuple[Bound, ...]]:
    """Return the objectives and constraints of the newest run that has several objectives.

    Returns:
        Column -> direction ("minimize" or "maximize"), and the constraints.

    Raises:
        ValueError: If no run has several objectives.
    """
    for found in _searches(runs):
        if len(found["objectives"]) > 1:
            return found["objectives"], _bounds(found)
    raise ValueError("pareto: no run was measured for several objectives")


def constraints(runs: pd.DataFrame) -> tuple[Bound, ...]:
    """Return the constraints of the newest run; empty if it has none."""
    return next((_bounds(found) for found in _searches(runs)), ())


def feasible(values: pd.DataFrame, bounds: tuple[Bound, ...]) -> pd.Series[bool]:
    """Return whether each row of `values` satisfies every bound. A missing value does not."""
    kept = pd.Series(True, index=values.index)
    for bound in bounds:
        kept &= values[bound.column].astype(float).map(bound.violation) <= 0
    return kept


def _searches(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the distinct search settings of the runs, newest first."""
    if "search" not in runs.columns:
        return []
    known = runs.dropna(subset=["search"])
    if "started_at" in known.columns:
        known = known.sort_values("started_at", ascending=False, kind="stable")
    return [json.loads(text) for text in dict.fromkeys(known["search"])]


def _bounds(found: dict[str, Any]) -> tuple[Bound, ...]:
    return Bound.parse("search.constraints", found["constraints"])

"""What the newest runs of a study were asked to be: their objectives, and constraints on them."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from rankbench.study.bounds import Bound


def objectives(runs: pd.DataFrame) -> tuple[dict[str, str], tuple[Bound, ...]]:
    """Objectives, column -> direction, and constraints of the newest run that has several.

    Raises ValueError where no run has.
    """
    for found in _searches(runs):
        if len(found["objectives"]) > 1:
            return found["objectives"], _bounds(found)
    raise ValueError("pareto: no run was measured for several objectives")


def constraints(runs: pd.DataFrame) -> tuple[Bound, ...]:
    """The constraints that the newest run was measured under; none where it had none."""
    return next((_bounds(found) for found in _searches(runs)), ())


def feasible(values: pd.DataFrame, bounds: tuple[Bound, ...]) -> pd.Series[bool]:
    """Whether each row of `values` keeps to every bound; one that is not known does not."""
    kept = pd.Series(True, index=values.index)
    for bound in bounds:
        kept &= values[bound.column].astype(float).map(bound.violation) <= 0
    return kept


def _searches(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """What runs were searched by, the newest first."""
    if "search" not in runs.columns:
        return []
    known = runs.dropna(subset=["search"])
    if "started_at" in known.columns:
        known = known.sort_values("started_at", ascending=False, kind="stable")
    return [json.loads(text) for text in dict.fromkeys(known["search"])]


def _bounds(found: dict[str, Any]) -> tuple[Bound, ...]:
    return Bound.parse("search.constraints", found["constraints"])

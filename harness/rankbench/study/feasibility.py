"""Which points may be measured, and which measured ones hold what the study asks of them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.trial import Trial

from rankbench.common.text import metric
from rankbench.study.config import Study
from rankbench.tasks.base import Point
from rankbench.tasks.facts import known_number

Row = Mapping[str, Any]


def limit_violations(study: Study, point: Point) -> dict[str, float]:
    """How far a point is beyond each limit; one on a number that it does not have is held."""
    found = {}
    for bound in study.search.limits:
        value = known_number(point, bound.column)
        if value is not None:
            found[bound.column] = bound.violation(value)
    return found


def exceeded_limits(study: Study, point: Point) -> str | None:
    """Which limits a point is beyond, None where it is within all."""
    violations = limit_violations(study, point)
    broken = [b for b in study.search.limits if violations.get(b.column, 0.0) > 0]
    return f"beyond search.limits: {', '.join(str(b) for b in broken)}" if broken else None


def constraint_violations(study: Study, runs: Sequence[Row]) -> dict[str, float]:
    """How far the mean over a point's `runs` is beyond each constraint; 0 or less holds it.

    A column that a run has no value in is far beyond: nobody knows that it holds.
    """
    return {
        bound.column: bound.violation(mean_of(runs, bound.column))
        for bound in study.search.constraints
    }


def breaches(study: Study, runs: Sequence[Row]) -> list[str]:
    """The constraints that a point's `runs` break: "step_ms 7.13, at most 5"."""
    violations = constraint_violations(study, runs)
    return [
        f"{bound.column} {metric(mean_of(runs, bound.column))},"
        f"{str(bound).removeprefix(bound.column)}"
        for bound in study.search.constraints
        if violations[bound.column] > 0
    ]


def constrain(trial: Trial, violations: Mapping[str, float]) -> None:
    """Tell a trial what its sampler is to know of it; above 0 it is infeasible.

    A trial that is tried again has them already, from its first time.
    """
    for name, violation in violations.items():
        if name not in trial.constraints:
            trial.set_constraint(name, violation)


def mean_of(runs: Sequence[Row], column: str) -> float | None:
    """The mean of a column over a point's runs, None unless each has a finite value."""
    values = [run.get(column) for run in runs]
    known = [value for value in values if value is not None and math.isfinite(value)]
    return statistics.fmean(known) if known and len(known) == len(values) else None

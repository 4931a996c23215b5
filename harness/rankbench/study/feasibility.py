"""Check points against a study's limits, and measured points against its constraints."""

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
    """Compute how far a point exceeds each limit of the study, by column.

    A limit on a number that the point does not have, such as the `tucker_rank` of a tensor train,
    does not apply to it.

    Returns:
        Relative violations, as `Bound.violation` returns them; 0 or less is within the limit.
    """
    violations = {}
    for bound in study.search.limits:
        value = known_number(point, bound.column)
        if value is not None:
            violations[bound.column] = bound.violation(value)
    return violations


def exceeded_limits(study: Study, point: Point) -> str | None:
    """Return a message with the limits that a point exceeds, None if it is within all of them."""
    violations = limit_violations(study, point)
    broken = [b for b in study.search.limits if violations.get(b.column, 0.0) > 0]
    return f"outside search.limits: {', '.join(str(b) for b in broken)}" if broken else None


def constraint_violations(study: Study, runs: Sequence[Row]) -> dict[str, float]:
    """Compute how far the mean over a point's runs violates each constraint, by column.

    If a run has no value in the column, the constraint counts as violated by far.

    Returns:
        Relative violations, as `Bound.violation` returns them; 0 or less meets the constraint.
    """
    return {
        bound.column: bound.violation(mean_of(runs, bound.column))
        for bound in study.search.constraints
    }


def breaches(study: Study, runs: Sequence[Row]) -> list[str]:
    """Describe each constraint that a point's runs violate, as in "step_ms 7.13, at most 5"."""
    violations = constraint_violations(study, runs)
    return [
        f"{bound.column} {metric(mean_of(runs, bound.column))},"
        f"{str(bound).removeprefix(bound.column)}"
        for bound in study.search.constraints
        if violations[bound.column] > 0
    ]


def constrain(trial: Trial, violations: Mapping[str, float]) -> None:
    """Set the constraints of an Optuna trial; one above 0 makes the trial infeasible.

    A trial that is repeated already has its constraints; they are not set twice.
    """
    for name, violation in violations.items():
        if name not in trial.constraints:
            trial.set_constraint(name, violation)


def mean_of(runs: Sequence[Row], column: str) -> float | None:
    """Return the mean of a column over a point's runs; None unless every value is finite."""
    values = [run.get(column) for run in runs]
    known = [value for value in values if value is not None and math.isfinite(value)]
    return statistics.fmean(known) if known and len(known) == len(values) else None

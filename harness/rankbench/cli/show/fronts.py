"""The Pareto front of a study with several objectives."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.text import Text

from rankbench.analysis.stats.pareto import costs_of, dominated_share, front
from rankbench.cli.show.summary import titles, varied
from rankbench.common.table import TerminalTable
from rankbench.common.text import label, metric, ratio
from rankbench.engine.queue import Row, by_point, objective_values
from rankbench.study.config import Study
from rankbench.study.feasibility import constraint_violations


@dataclass(frozen=True, kw_only=True)
class Front:
    """The Pareto front of a study: the feasible points that no other feasible point dominates.

    The points are sorted by the objectives, the best in the first objective first.
    """

    points: list[list[Row]]
    """Runs of each point."""
    values: list[list[float]]
    """Objective values of each point."""
    dominated: int
    """Number of feasible points that are not on the front."""
    infeasible: int
    """Number of points that break a constraint."""
    share: float
    """Share of the box of feasible values that the front dominates, from 0 to 1."""


def front_of(study: Study, rows: Iterable[Row]) -> Front:
    """Compute the front of the points in `rows` whose runs are all done, from means over seeds."""
    directions = [direction for _, direction in study.search.objectives]
    feasible: list[tuple[list[Row], list[float]]] = []
    infeasible = 0
    for runs in by_point(rows):
        values = objective_values(study, runs)
        if values is None:
            continue
        if any(v > 0 for v in constraint_violations(study, runs).values()):
            infeasible += 1
        else:
            feasible.append((runs, values))
    if not feasible:
        return Front(points=[], values=[], dominated=0, infeasible=infeasible, share=0.0)
    costs = costs_of([values for _, values in feasible], directions)
    kept = sorted(front(costs), key=lambda index: tuple(costs[index]))
    return Front(
        points=[feasible[index][0] for index in kept],
        values=[feasible[index][1] for index in kept],
        dominated=len(feasible) - len(kept),
        infeasible=infeasible,
        share=dominated_share(costs),
    )


def front_table(study: Study, rows: Iterable[Row], most: int = 20) -> Group:
    """Return a table of the first `most` points of the front, with the number of other points."""
    found = front_of(study, rows)
    params = [json.loads(runs[0]["params"]) for runs in found.points]
    extra = varied(params)
    table = TerminalTable("point", *titles(extra), drop=("CR",))
    for column, direction in study.search.objectives:
        arrow = "↓" if direction == "minimize" else "↑"
        table.add_numbers(f"{column} {arrow}")
    table.add_numbers("CR")
    for runs, chosen, values in list(zip(found.points, params, found.values, strict=True))[:most]:
        shown = (_number(value) for value in values)
        settings = (str(chosen.get(key, "")) for key in extra)
        table.add_row(label(runs[0]), *settings, *shown, ratio(runs[0]["compression_ratio"]))
    parts: list[RenderableType] = [Text(_title(study, found), style="italic")]
    if found.points:
        parts.append(table)
    if len(found.points) > most:
        parts.append(f"... and {len(found.points) - most} more")
    return Group(*parts)


def _title(study: Study, found: Front) -> str:
    others = [f"{found.dominated} dominated"]
    if study.search.constraints:
        others.append(f"{found.infeasible} break a constraint")
    share = f"; it dominates {found.share:.0%} of the feasible range" if found.points else ""
    return f"{study.name}: Pareto front of {len(found.points)} points ({', '.join(others)}){share}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() and abs(value) >= 1000 else metric(value)

"""The report's chart of a study's Pareto front: every point, with those on the front marked."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from rankbench.analysis.figures.drawable import has_objectives
from rankbench.analysis.figures.pareto import judged
from rankbench.analysis.metrics import METRICS
from rankbench.analysis.names import NAMES
from rankbench.analysis.report.chart import (
    MOST,
    MUTED,
    Chart,
    Trace,
    View,
    by_condition,
    hover,
    key,
    marker,
    points,
)
from rankbench.analysis.report.names import axis, facts, named
from rankbench.analysis.stats.intervals import mean_interval
from rankbench.analysis.stats.pareto import costs_of, front
from rankbench.analysis.summaries import objectives as asked
from rankbench.analysis.summaries.rows import done, evenly, records, several
from rankbench.common.text import metric
from rankbench.study.bounds import Bound

_JUDGED = [name for name in METRICS if name != "num_params"]
_STATES = ("on the front", "dominated", "breaks a constraint")


def front_chart(study: str, runs: pd.DataFrame, command: str) -> Chart | None:
    """Build the chart of all points of a study by their objectives, as means over seeds.

    The objectives are those of the search, otherwise the first of error, accuracy or time that was
    measured, against parameters.

    Args:
        study: the name of the study.
        runs: its rows of `runs`.
        command: the command that draws the study's figures, shown beside the chart.

    Returns:
        A chart with one view per pair of objectives and comparable condition; None where no
        condition has several points.
    """
    found = _objectives(runs)
    if found is None:
        return None
    objectives, constraints = found
    finished = done(runs, "front", "point_id", "num_params", *objectives)
    first, *others = objectives
    views = [
        _view(rows, condition, objectives, constraints, (other, first))
        for condition, rows in by_condition(finished, "noise")
        if several(rows["point_id"])
        for other in others
    ]
    if not views:
        return None
    return Chart(
        key=key("front", study),
        title=f"{named(first)} and what it costs",
        says="A mark is a point, its mean over seeds. Strong marks are on the Pareto front of all "
        "objectives, faint ones are dominated, hollow ones break a constraint; the line is the "
        "front of the two that are shown.",
        figure="pareto" if has_objectives({"runs": runs}) else "trade_off",
        command=command,
        views=tuple(views),
    )


def _objectives(runs: pd.DataFrame) -> tuple[dict[str, str], tuple[Bound, ...]] | None:
    finished = runs[(runs["status"] == "done").fillna(False) & runs["sweep"].isna()]
    try:
        objectives, constraints = asked.objectives(finished)
    except ValueError:
        objectives, constraints = {}, asked.constraints(finished)
    if objectives and finished[list(objectives)].notna().all(axis=1).any():
        return objectives, constraints
    sized = finished[finished["num_params"].notna() & finished["contender"].isna()]
    for column in _JUDGED:
        if sized[column].notna().any():
            better = "minimize" if METRICS[column].less_is_better else "maximize"
            return {column: better, "num_params": "minimize"}, constraints
    return None


def _view(
    rows: pd.DataFrame,
    condition: str,
    objectives: dict[str, str],
    constraints: tuple[Bound, ...],
    pair: tuple[str, str],
) -> View:
    found = judged(rows, objectives, constraints)
    x, y = pair
    shown, note = _sample(found)
    shown = shown.assign(state=[_state(row) for row in records(shown)])
    texts = _texts(rows, shown, objectives)
    traces = [_line(found, objectives, pair)] if found["feasible"].any() else []
    traces += list(_marks(shown, texts, pair, _reach(rows, shown, y)))
    words = f"against {named(x).lower()}" if len(objectives) > 2 else ""
    return View(
        name=", ".join(part for part in (condition, words) if part) or "all",
        traces=traces,
        x=axis(x, found[x]),
        y=axis(y, found[y]),
        note=note,
    )


def _sample(found: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Choose the points to draw: all on the front and an even choice of the rest, with a note."""
    rest = found.index[~found["leads"]]
    kept = set(evenly(list(rest), MOST))
    shown = found[found["leads"] | found.index.isin(kept)]
    leading = int(found["leads"].sum())
    note = f"{len(found)} points, {leading} on the front"
    cut = f"; {len(kept)} of the others are drawn, evenly chosen" if len(kept) < len(rest) else ""
    return shown, note + cut


def _state(row: dict[str, Any]) -> str:
    return _STATES[0] if row["leads"] else _STATES[1] if row["feasible"] else _STATES[2]


def _texts(rows: pd.DataFrame, shown: pd.DataFrame, objectives: dict[str, str]) -> dict[str, str]:
    """Return the text beside each mark, by point_id."""
    own = rows[rows["point_id"].isin(shown.index)]
    firsts = {row["point_id"]: row for row in records(own.drop_duplicates("point_id"))}
    seeds = own["point_id"].value_counts()
    texts = {}
    for point, found in zip(shown.index, records(shown), strict=True):
        values = [f"{named(c)} {metric(found[c])}" for c in objectives if c != "num_params"]
        number = int(seeds[point])
        end = f"{found['state']}, {number} seed{'s' * (number != 1)}"
        texts[point] = hover([*facts(firsts[point], found["label"]), *values, end])
    return texts


def _reach(rows: pd.DataFrame, shown: pd.DataFrame, column: str) -> dict[str, float]:
    """Return half the width of the 95% t interval of each point on the front with several seeds."""
    own = rows[rows["point_id"].isin(shown.index[shown["leads"]])]
    groups = own.groupby("point_id")[column]
    found = {str(point): mean_interval(values.astype(float)) for point, values in groups}
    return {p: one.high - one.mean for p, one in found.items() if not math.isnan(one.high)}


def _line(found: pd.DataFrame, objectives: dict[str, str], pair: tuple[str, str]) -> Trace:
    x, y = pair
    feasible = found[found["feasible"]]
    costs = costs_of(feasible[[x, y]].to_numpy(), [objectives[x], objectives[y]])
    line = feasible.iloc[front(costs)].sort_values(x)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "front",
        "legendgroup": "front",
        "x": line[x].tolist(),
        "y": line[y].tolist(),
        "line": {"color": MUTED, "width": 1.2, "dash": "dash", "shape": _shape(objectives[x])},
        "hoverinfo": "skip",
    }


def _shape(direction: str) -> str:
    return "hv" if direction == "minimize" else "vh"


def _marks(
    shown: pd.DataFrame, texts: dict[str, str], pair: tuple[str, str], reach: dict[str, float]
) -> Iterator[Trace]:
    """Yield one trace per family and state, the faint ones first so that they are below."""
    x, y = pair
    for state in reversed(_STATES):
        for family in NAMES:
            own = shown[(shown["family"] == family) & (shown["state"] == state)]
            if own.empty:
                continue
            leads = state == _STATES[0]
            names = [texts[point] for point in own.index]
            trace = points(NAMES[family], own[x].tolist(), own[y].tolist(), names)
            hollow = state == _STATES[2]
            trace["marker"] = marker(family, 11 if leads else 7, hollow=hollow)
            trace["opacity"] = 1.0 if leads else 0.75 if hollow else 0.45
            if leads and any(point in reach for point in own.index):
                half = [reach.get(point, 0.0) for point in own.index]
                trace["error_y"] = {"array": half, "thickness": 1, "width": 2}
            yield trace

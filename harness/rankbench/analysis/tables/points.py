"""Summarise each point over its seeds, and select the best points."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import asdict

import pandas as pd

from rankbench.analysis.metrics import METRICS, Metric
from rankbench.analysis.names import NAMES
from rankbench.analysis.stats.intervals import mean_interval
from rankbench.analysis.stats.pareto import costs_of, front
from rankbench.analysis.summaries import labels
from rankbench.analysis.summaries import objectives as asked
from rankbench.analysis.summaries.rows import done, records
from rankbench.study.bounds import Bound

_POINT_COLUMNS = (
    "point_id",
    "label",
    "family",
    "decomposition",
    "core_order",
    "noise",
    "num_params",
    "compression_ratio",
    "seeds",
    "mean",
    "sd",
    "low",
    "high",
    "feasible",
)


def metric_of(runs: pd.DataFrame) -> Metric:
    """Return the first metric of METRICS that any finished run has.

    Raises:
        ValueError: If no finished run has any of them.
    """
    finished = done(runs, "table")
    for metric in METRICS.values():
        if metric.column in finished.columns and finished[metric.column].notna().any():
            return metric
    raise ValueError(f"table: no finished run has any of: {', '.join(METRICS)}")


def summary(runs: pd.DataFrame, metric: str | None = None) -> pd.DataFrame:
    """Summarise a metric over the seeds of each point.

    Args:
        runs: Rows of the `runs` table.
        metric: A key of METRICS. None selects the first one that was measured.

    Returns:
        One row per point in order of parameters: its label and size, and the mean, standard
        deviation `sd` and 95% t interval (`low`, `high`) over seeds. These three are NaN for a
        single seed. `feasible` says whether the point's means satisfy the constraints of the newest
        run.

    Raises:
        ValueError: If the metric is unknown or no finished run has it.
    """
    chosen = _metric(runs, metric)
    finished = done(runs, "summary", "point_id", "num_params", chosen.column)
    names = labels.points(finished)
    rows = []
    # Group only the needed column: grouping whole rows is a hundred times slower.
    known = [column for column in _POINT_COLUMNS if column in finished.columns]
    values = finished[chosen.column].astype(float).groupby(finished["point_id"])
    keeps = _keeps(finished, asked.constraints(runs))
    intervals = {point: mean_interval(own) for point, own in values}
    for first in records(finished.drop_duplicates("point_id")[known]):
        found = asdict(intervals[first["point_id"]])
        found |= {"label": names[first["point_id"]], "seeds": found.pop("count")}
        rows.append(first | found | {"feasible": keeps[first["point_id"]]})
    frame = pd.DataFrame(rows, columns=list(_POINT_COLUMNS))
    return frame.sort_values(["num_params", "mean"], kind="stable", ignore_index=True)


def _keeps(finished: pd.DataFrame, bounds: tuple[Bound, ...]) -> dict[Hashable, bool]:
    """Return whether the means of each point satisfy `bounds`."""
    columns = [bound.column for bound in bounds]
    means = finished.groupby("point_id")[columns].mean()
    return asked.feasible(means, bounds).to_dict()


def best(runs: pd.DataFrame, metric: str | None = None, count: int = 10) -> pd.DataFrame:
    """Return the `count` best points of `summary`, best first.

    Points that violate a constraint follow all feasible ones. Fewer parameters break a tie.

    Args:
        runs: Rows of the `runs` table.
        metric: A key of METRICS. None selects the first one that was measured.
        count: The maximum number of points.
    """
    frame = summary(runs, metric)
    upwards = _metric(runs, metric).less_is_better
    ordered = frame.sort_values(
        ["feasible", "mean", "num_params"], ascending=[False, upwards, True], kind="stable"
    )
    return ordered.head(count).reset_index(drop=True)


def best_of_each(runs: pd.DataFrame, metric: str | None = None) -> pd.DataFrame:
    """Return the best point of each family, in the order of NAMES."""
    frame = best(runs, metric, count=len(runs))
    firsts = frame.drop_duplicates("family")
    order = list(NAMES)
    return firsts.sort_values(
        "family", key=lambda column: column.map(order.index), ignore_index=True
    )


def pareto(frame: pd.DataFrame, *, less_is_better: bool) -> pd.DataFrame:
    """Return the Pareto front of a summary: metric against number of parameters.

    Args:
        frame: The frame that `summary` returns.
        less_is_better: Whether the metric is to be minimised.

    Returns:
        The feasible rows that no other row dominates.
    """
    best_first = frame[frame["feasible"]].sort_values(
        ["num_params", "mean"], ascending=[True, less_is_better]
    )
    measured = best_first[["num_params", "mean"]].astype(float)
    if measured.empty:
        return best_first.reset_index(drop=True)
    directions = ("minimize", "minimize" if less_is_better else "maximize")
    kept = best_first.iloc[front(costs_of(measured.to_numpy(), directions))]
    return kept.drop_duplicates(["num_params", "mean"]).reset_index(drop=True)


def _metric(runs: pd.DataFrame, name: str | None) -> Metric:
    if name is None:
        return metric_of(runs)
    if name not in METRICS:
        raise ValueError(f"metric must be one of: {', '.join(METRICS)}; got {name!r}")
    return METRICS[name]

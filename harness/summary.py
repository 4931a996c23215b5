"""Tables a person reads before and after a study runs."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rich.table import Column, Table

from harness.config import Study
from harness.label import count, duration, label, metric, ratio, varied
from harness.point import Point
from harness.queue import Row
from harness.run import layer_facts

# Columns that say which task a point is; shown where they vary within a study.
TASK_COLUMNS = ("target", "noise", "samples", "split")


def plan_table(points: Iterable[Point], seconds: Mapping[str, float], most: int) -> Table:
    """The first `most` points with their counts and the estimated time of one run each."""
    shown = list(points)
    tasks = [point.task.describe() for point in shown]
    extra = varied(tasks, TASK_COLUMNS)
    table = Table(Column("point", no_wrap=True), "modes", *extra, title="points")
    for title in ("parameters", "CR", "FLOPs/row", "time/run"):
        table.add_column(title, justify="right", no_wrap=True)
    for point, task in list(zip(shown, tasks, strict=True))[:most]:
        layer = point.layer
        table.add_row(
            label({**layer_facts(layer), **task}),
            f"{_modes(layer.in_modes)} -> {_modes(layer.out_modes)}",
            *(str(task[name]) for name in extra),
            f"{layer.num_params:,}",
            ratio(layer.compression_ratio),
            count(layer.cost(1).flops),
            duration(seconds[point.point_id]),
        )
    return table


def best_table(study: Study, rows: Iterable[Row], most: int = 12) -> Table:
    """The best points by the first objective: means over seeds, plus or minus one sd."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row["status"] == "done":
            groups.setdefault(row["point_id"], []).append(row)
    objectives = study.search.objectives
    shown_anyway = ("num_params", "compression_ratio", "duration_s")
    columns = [name for name, _ in objectives if name not in shown_anyway]
    ranked = sorted(groups.values(), key=lambda runs: _rank(runs, *objectives[0]))
    shown = f"best {most} of {len(ranked)} points" if len(ranked) > most else "points"
    extra = varied([runs[0] for runs in ranked], TASK_COLUMNS)
    table = Table(
        Column("point", no_wrap=True),
        *extra,
        title=f"{study.name}: {shown}, by {objectives[0][0]} (mean ± sd over seeds)",
    )
    for title in ("parameters", "CR", *columns, "time"):
        table.add_column(title, justify="right", no_wrap=True)
    for runs in ranked[:most]:
        table.add_row(
            label(runs[0]),
            *(str(runs[0][name]) for name in extra),
            f"{runs[0]['num_params']:,}",
            ratio(runs[0]["compression_ratio"]),
            *(_mean_sd([run.get(name) for run in runs]) for name in columns),
            duration(statistics.mean(run["duration_s"] for run in runs)),
        )
    return table


def status_counts(rows: Iterable[Row]) -> str:
    """ "12 done, 1 timeout" for the statuses there are."""
    counts = Counter(row["status"] for row in rows)
    return ", ".join(f"{number} {status}" for status, number in sorted(counts.items())) or "none"


def _rank(runs: Sequence[Row], column: str, direction: str) -> float:
    values = [run[column] for run in runs if run.get(column) is not None]
    if not values:
        return float("inf")
    mean = statistics.fmean(values)
    return mean if direction == "minimize" else -mean


def _mean_sd(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if len(known) < 2 or len(set(known)) == 1:
        return metric(known[0]) if known else "-"
    return f"{metric(statistics.mean(known))} ± {statistics.stdev(known):.1g}"


def _modes(modes: Sequence[int]) -> str:
    return "x".join(str(mode) for mode in modes)

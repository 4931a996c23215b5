"""The report's chart of `rankbench bench`: time of a training step against parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from rankbench.analysis.figures.bench import LOOKS
from rankbench.analysis.report.chart import (
    MUTED,
    Axis,
    Chart,
    Trace,
    View,
    hover,
    key,
    mark,
    points,
)
from rankbench.analysis.report.names import facts
from rankbench.analysis.summaries.rows import done, records
from rankbench.bench.contenders import CONTENDERS, SAME
from rankbench.common.text import metric

_OTHER = ("#7a7a7a", "d")


def bench_chart(study: str, runs: pd.DataFrame, command: str) -> Chart | None:
    """Build the chart of every contender's median training step on every map.

    Args:
        study: the name of the study.
        runs: its rows of `runs`.
        command: the command that draws the study's figures, shown beside the chart.

    Returns:
        A chart with one view per number of rows, dtype and number of threads; None where the study
        has no finished runs of contenders.
    """
    columns = ["contender", "input_map", "num_params", "step_ms"]
    finished = runs[(runs["status"] == "done").fillna(False)]
    if finished.dropna(subset=columns).empty:
        return None
    own = done(finished, "bench", *columns)
    own = own.assign(text=[_text(row) for row in records(own)])
    ordered = own.sort_values(["dtype", "rows", "threads"], ascending=[False, True, True])
    views = []
    for (dtype, count, threads), rows in ordered.groupby(["dtype", "rows", "threads"], sort=False):
        views.append(
            View(
                name=f"{count} rows, {dtype}, {threads} thread{'s' * (threads != 1)}",
                traces=list(_traces(rows)),
                x=Axis(title="Parameters of the map", log=True, ticks="~s"),
                y=Axis(title="Training step (ms)", log=True),
                note=f"{len(rows)} medians",
            )
        )
    return Chart(
        key=key("bench", study),
        title="A training step of every contender",
        says="A mark is a contender on a map, at the parameters it has there; hollow ones compute "
        "another map; a dash is the floor, the least time that this machine's rates allow.",
        figure="time_vs_parameters",
        command=command,
        views=tuple(views),
    )


def _traces(rows: pd.DataFrame) -> Iterator[Trace]:
    floors = rows.dropna(subset=["step_floor_ms"]).drop_duplicates("input_map")
    if len(floors):
        texts = [
            hover([f"floor of {row['input_map']}", f"{metric(row['step_floor_ms'])} ms"])
            for row in records(floors)
        ]
        x, y = floors["num_params"].tolist(), floors["step_floor_ms"].tolist()
        trace = points("floor of the map", x, y, texts)
        line = {"color": MUTED, "width": 2}
        yield {**trace, "marker": {"symbol": "line-ew", "size": 12, "color": MUTED, "line": line}}
    for (name, computes), own in rows.groupby(["contender", "computes"], sort=False):
        title = _title(str(name))
        x, y = own["num_params"].tolist(), own["step_ms"].tolist()
        trace = points(title, x, y, own["text"].tolist())
        hue, shape = LOOKS.get(str(name), _OTHER)
        yield {**trace, "marker": mark(hue, shape, 10, hollow=computes != SAME)}


def _title(name: str) -> str:
    return CONTENDERS[name].title if name in CONTENDERS else name


def _text(row: dict[str, Any]) -> str:
    name, *others = facts(row, str(row["input_map"]))
    times = f"step {metric(row['step_ms'])} ms, forward {metric(row['forward_ms'])} ms"
    title = _title(str(row["contender"]))
    return hover([f"{name}: {title}", *others, times, str(row["computes"])])

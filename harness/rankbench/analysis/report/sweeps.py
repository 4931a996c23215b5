"""The report's charts of `rankbench validate`: costs against one variable, with fits and claims."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from rankbench.analysis.figures import style
from rankbench.analysis.figures.complexity import PLANS
from rankbench.analysis.names import NAMES
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
from rankbench.analysis.summaries.complexity import (
    DIRECTIONS,
    QUANTITIES,
    exponents,
    rounded,
    swept,
    with_claims,
)
from rankbench.analysis.summaries.rows import Row, records
from rankbench.common.text import metric

_TICKS = {"flops": "~s", "tensor": "~s"}
_SHAPES = {"forward": "o", "backward": "s"}


def sweep_charts(
    study: str, runs: pd.DataFrame, samples: pd.DataFrame, command: str
) -> Iterator[Chart]:
    """Yield a chart for each of FLOPs, time, largest tensor and peak memory that was measured.

    Each chart has one view per method and variable that was swept.

    Args:
        study: the name of the study.
        runs: its rows of `runs`.
        samples: its rows of `samples`.
        command: the command that draws the study's figures, shown beside the charts.
    """
    if not ((runs["status"] == "done").fillna(False) & runs["sweep"].notna()).any():
        return
    measured, found = swept(runs, samples), exponents(runs, samples)
    for name, quantity in QUANTITIES.items():
        own = found[found["quantity"] == name]
        views = tuple(
            _view(measured, rows, str(method), str(variable), name)
            for (method, variable), rows in own.groupby(["decomposition", "sweep"], sort=False)
        )
        if views:
            yield Chart(
                key=key("complexity", name, study),
                title=f"{style.sentence(quantity.name)} against one variable at a time",
                says="Marks are measured; solid lines are the fit, where measured over claimed is "
                "one power law; dashes are the claim of the papers, scaled to the marks there.",
                figure=f"complexity_{name}",
                command=command,
                views=views,
            )


def _view(points: pd.DataFrame, found: pd.DataFrame, method: str, variable: str, name: str) -> View:
    here = points[(points["decomposition"] == method) & (points["sweep"] == variable)]
    traces = [trace for row in records(found) for trace in _traces(here, row, name)]
    notes = [_said(row) for row in records(found) if row["plan"] == "paper"]
    quantity = QUANTITIES[name]
    unit = "" if quantity.unit == quantity.name else f" ({quantity.unit})"
    return View(
        group=style.sentence(NAMES[method]),
        name=f"{NAMES[method]}, {variable}",
        traces=traces,
        x=Axis(title=variable, log=True, ticks="~s"),
        y=Axis(title=style.sentence(quantity.name) + unit, log=True, ticks=_TICKS.get(name, "")),
        note="; ".join(notes),
    )


def _said(row: Row) -> str:
    fitted = "-" if math.isnan(row["exponent"]) else rounded(row["exponent"])
    claim = f"claimed {row['claim']}, exponent {rounded(row['claimed'])}"
    return f"{row['direction']}: {claim}, found {fitted}: {row['verdict']}"


def _traces(here: pd.DataFrame, row: Row, name: str) -> Iterator[Trace]:
    """Yield the marks of a direction and plan, their fit, and on the papers' plan the claim."""
    direction, quantity = row["direction"], QUANTITIES[name]
    own = here[here["plan"] == row["plan"]]
    own = own[own[quantity.columns[direction]].astype(float) > 0]
    x, y = own["swept"].to_numpy(float), own[quantity.columns[direction]].to_numpy(float)
    said = f"{direction}, plan {row['plan']}"
    hue, size = PLANS[row["plan"]]
    texts = [
        hover([said, f"{row['sweep']} = {at:g}", f"{metric(v)} {quantity.unit}"])
        for at, v in zip(x, y, strict=True)
    ]
    marks = points(said, x.tolist(), y.tolist(), texts)
    marks["marker"] = mark(hue, _SHAPES[direction], size * 2, hollow=direction == "backward")
    tail = x >= row["start"]
    if not math.isnan(row["exponent"]) and row["sweep"] != "d":
        ends = np.array([x[tail].min(), x[tail].max()])
        fitted = np.exp(row["intercept"]) * ends ** row["exponent"]
        yield _line(said, ends, fitted, {"color": hue, "width": 1.4})
    if row["plan"] == "paper" and tail.any():
        claim = with_claims(own, direction, quantity.claim).to_numpy()
        scale = np.exp(np.mean(np.log(y[tail] / claim[tail])))
        dash = "dash" if direction == DIRECTIONS[0] else "dot"
        line = {"color": MUTED, "width": 1.4, "dash": dash}
        yield _line(f"claimed, {direction}", x, scale * claim, line)
    yield marks


def _line(name: str, x: np.ndarray, y: np.ndarray, line: dict[str, object]) -> Trace:
    common = {"type": "scatter", "mode": "lines", "name": name, "legendgroup": name}
    return {**common, "x": x.tolist(), "y": y.tolist(), "line": line, "hoverinfo": "skip"}

"""The claims of the papers in the report: the table of the ledger, and a chart."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from rankbench.analysis.claims.evaluate import counts, table
from rankbench.analysis.claims.verdicts import Judged
from rankbench.analysis.figures.claims import LOOKS
from rankbench.analysis.names import VERDICTS
from rankbench.analysis.report.chart import MUTED, Axis, Chart, Trace, View, hover, mark, points
from rankbench.analysis.summaries.accuracy import TOP
from rankbench.analysis.summaries.rows import records
from rankbench.common.text import metric

_FAR = 1e4  # Effects are drawn at most this large, in standard deviations.


def ledger(judged: Sequence[Judged]) -> dict[str, Any]:
    """Return the verdicts with their counts, and the claims grouped by their place in a paper.

    Args:
        judged: the judged claims, in the order of the ledger.

    Returns:
        What the page's template shows: `count`, `verdicts` and `places`.
    """
    places: dict[str, list[Judged]] = {}
    for one in judged:
        places.setdefault(one.claim.source, []).append(one)
    found = counts(judged)
    return {
        "count": len(judged),
        "verdicts": [
            {"name": name, "slug": name.replace(" ", "-"), "count": found[name]}
            for name in VERDICTS
        ],
        "places": [
            {"source": source, "paper": own[0].claim.paper, "claims": own}
            for source, own in places.items()
        ],
    }


def claims_chart(judged: Sequence[Judged], command: str) -> Chart | None:
    """Build the chart of published against measured values.

    Args:
        judged: the judged claims.
        command: the command that draws the same figure, shown beside the chart.

    Returns:
        A chart with views for numbers, accuracies and orders, as far as they were measured; None
        where none was.
    """
    if not judged:
        return None
    rows = table(judged)
    both = rows[rows["ours"].notna() & rows["published_value"].notna()]
    accuracy = both["column"] == TOP
    orders = rows[rows["effect"].notna() & ~rows["order"].str.contains("=")]
    found = (
        _numbers(both[~accuracy]),
        _accuracies(both[accuracy]),
        _orders(orders),
    )
    views = tuple(view for view in found if view is not None)
    if not views:
        return None
    return Chart(
        key="claims-chart",
        title="Published against measured",
        says="A mark is a claim, its colour and shape the verdict; bars are 95% intervals.",
        figure="claims",
        command=command,
        views=views,
    )


def _numbers(rows: pd.DataFrame) -> View | None:
    if rows.empty:
        return None
    share = (rows["ours"] / rows["published_value"]).tolist()
    x = rows["published_value"].tolist()
    level = _level([min(x), max(x)], [1, 1])
    return View(
        name="numbers",
        traces=[level, *_marks(rows, x, share)],
        x=Axis(title="Published", log=True, ticks="~s"),
        y=Axis(title="Measured / published", log=True),
        note=f"{len(rows)} numbers that were worked out or measured",
    )


def _accuracies(rows: pd.DataFrame) -> View | None:
    if rows.empty:
        return None
    x, y = rows["published_value"].tolist(), rows["ours"].tolist()
    ends = [min(x), max(x)]
    return View(
        name="accuracies",
        traces=[_level(ends, ends), *_marks(rows, x, y, bars=True)],
        x=Axis(title="Published top accuracy"),
        y=Axis(title="Measured top accuracy"),
        note=f"{len(rows)} accuracies; the line is where both are alike",
    )


def _orders(rows: pd.DataFrame) -> View | None:
    if rows.empty:
        return None
    sign = np.where(rows["order"].str.contains("<"), -1.0, 1.0)
    size = rows["effect"].abs().clip(upper=_FAR)
    towards = sign * np.sign(rows["ours"]) * np.log10(1 + size)
    return View(
        name="orders",
        traces=list(_marks(rows, towards.tolist(), list(range(1, len(rows) + 1)))),
        x=Axis(title="← the other way round · log₁₀(1 + |effect|) · as claimed →"),
        y=Axis(title="Claim, in the order of the ledger"),
        note=f"{len(rows)} orders; effect: mean difference over its standard deviation over seeds",
    )


def _level(x: list[float], y: list[float]) -> Trace:
    line = {"color": MUTED, "width": 1, "dash": "dash"}
    common = {"type": "scatter", "mode": "lines", "name": "alike", "legendgroup": "alike"}
    return {**common, "x": x, "y": y, "line": line, "hoverinfo": "skip"}


def _marks(
    rows: pd.DataFrame, x: list[float], y: list[float], *, bars: bool = False
) -> Iterator[Trace]:
    """Yield one trace per verdict."""
    placed = rows.assign(x=x, y=y)
    for verdict in VERDICTS:
        own = placed[placed["verdict"] == verdict]
        if own.empty:
            continue
        look = LOOKS[verdict]
        texts = [_text(row) for row in records(own)]
        trace = points(verdict, own["x"].tolist(), own["y"].tolist(), texts)
        trace["marker"] = mark(
            look["color"], look["marker"], 9, hollow=look.get("markerfacecolor") == "white"
        )
        if bars and own["low"].notna().any():
            ends = {"array": own["high"] - own["ours"], "arrayminus": own["ours"] - own["low"]}
            half = {name: values.fillna(0.0).tolist() for name, values in ends.items()}
            trace["error_y"] = {"symmetric": False, "thickness": 1, "width": 0, **half}
        yield trace


def _text(row: dict[str, Any]) -> str:
    p = "" if math.isnan(row["p_holm"]) else f", p {metric(row['p_holm'])} by Holm"
    return hover(
        [
            f"{row['source']}: {row['id']}",
            *_folded(row["claim"]),
            f"published {row['published']}" if row["published"] else "",
            *_folded(f"measured {row['measured']}"),
            row["verdict"] + p,
        ]
    )


def _folded(words: str) -> list[str]:
    """Wrap a sentence into lines that fit beside a mark."""
    return textwrap.wrap(words, 56)

"""The report's chart of learning curves: the best points of a study, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
from matplotlib.colors import to_hex

from rankbench.analysis.figures import style
from rankbench.analysis.metrics import METRICS
from rankbench.analysis.names import NAMES
from rankbench.analysis.report.chart import (
    Axis,
    Chart,
    Trace,
    View,
    by_condition,
    colour,
    hover,
    key,
)
from rankbench.analysis.stats.intervals import mean_intervals
from rankbench.analysis.summaries import labels
from rankbench.analysis.summaries.rows import done, evenly, records, several
from rankbench.analysis.tables import points as tables
from rankbench.common.text import metric, plain

_LINES = 10
_EPOCHS = 150  # The most epochs drawn of a curve; a screen cannot resolve more.
# For each column of `epochs`: the column of `runs` that points are judged by, the title of the
# axis, and the name of the printed figure.
_RIGHT = {
    "accuracy": ("top_accuracy", "Test accuracy", "curves"),
    "rmse": ("rmse", "RMSE of W", "curves"),
    "nelbo_nats": ("nelbo_nats", "Negative ELBO (nats)", "nats"),
    "perplexity": ("perplexity", "Test perplexity", "captions"),
}
_DASHES = ("solid", "dash", "dot", "dashdot")


def curves_chart(
    study: str, runs: pd.DataFrame, epochs: pd.DataFrame, command: str
) -> Chart | None:
    """Build the chart of the metric and the training loss by epoch, as means over seeds.

    Of more than ten points, the best of each decomposition is drawn, or an even choice where all
    have the same decomposition.

    Args:
        study: the name of the study.
        runs: its rows of `runs`.
        epochs: its rows of `epochs`.
        command: the command that draws the study's figures, shown beside the chart.

    Returns:
        The chart; None where no finished run has a learning curve.
    """
    column = next((c for c in _RIGHT if several(epochs.loc[epochs[c].notna(), "epoch"])), None)
    finished = runs[(runs["status"] == "done").fillna(False)]
    if column is None or not finished["run_id"].isin(epochs["run_id"]).any():
        return None
    judged_by, title, figure = _RIGHT[column]
    if finished[[judged_by, "num_params"]].isna().any(axis=1).all():
        return None
    own = done(finished, "curves", "point_id", "num_params", judged_by)
    views = []
    for condition, rows in by_condition(own[own["run_id"].isin(epochs["run_id"])], "noise"):
        chosen, note = _chosen(rows, judged_by)
        looks = _looks(chosen)
        for name, axis in ((column, title), ("train_loss", "Training loss")):
            traces = list(_lines(rows, epochs, chosen, looks, name))
            means = [v for t in traces if t["mode"] == "lines" for v in t["y"]]
            log = not name.endswith("accuracy") and style.spans_decades(means, 30)
            said = ": ".join(part for part in (condition, axis) if part)
            views.append(
                View(
                    name=said,
                    traces=traces,
                    x=Axis(title="Epoch"),
                    y=Axis(title=axis, log=log),
                    note=note,
                )
            )
    return Chart(
        key=key("curves", study),
        title="Learning curves",
        says="A line is a point, its mean over seeds; the band is the range of its seeds.",
        figure=figure,
        command=command,
        views=tuple(views),
    )


def _chosen(rows: pd.DataFrame, column: str) -> tuple[pd.DataFrame, str]:
    """Return the points to draw, sorted by family and parameters, and a note on the rest."""
    points = tables.summary(rows, column)
    note = f"{len(points)} points"
    if len(points) > _LINES:
        upwards = METRICS[column].less_is_better
        ordered = points.sort_values(["mean", "num_params"], ascending=[upwards, True])
        best = ordered.drop_duplicates("family")
        note = f"the best of each decomposition, of {len(points)} points"
        if len(best) == 1:
            note = f"{_LINES} of {len(points)} points, evenly spaced by parameters"
            best = points.iloc[evenly(range(len(points)), _LINES)]
        points = best
    order = points["family"].map(list(NAMES).index)
    return points.assign(order=order).sort_values(["order", "num_params"]), note


def _looks(points: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Return the line style of each point, by point_id.

    Within a family the lines become darker and less broken with more parameters, as in the figures.
    """
    looks = {}
    for family, own in points.groupby("family", sort=False):
        for step, point in enumerate(own["point_id"]):
            hue = to_hex(style.shade(style.COLOURS[str(family)], step, len(own)))
            dash = _DASHES[(len(own) - 1 - step) % len(_DASHES)]
            looks[str(point)] = {"color": colour(hue), "dash": dash, "width": 1.8}
    return looks


def _lines(
    rows: pd.DataFrame,
    epochs: pd.DataFrame,
    chosen: pd.DataFrame,
    looks: dict[str, dict[str, Any]],
    column: str,
) -> Iterator[Trace]:
    wanted = rows.loc[rows["point_id"].isin(chosen["point_id"]), ["run_id", "point_id"]]
    curve = epochs.merge(wanted, on="run_id").dropna(subset=[column])
    for row in records(chosen):
        own = curve[curve["point_id"] == row["point_id"]]
        if own.empty:
            continue
        found = mean_intervals(own[column], own["epoch"])
        found = found.loc[evenly(list(found.index), _EPOCHS)]
        name = plain(f"{row['label']} · {labels.count(row['num_params'])} parameters")
        look = looks[row["point_id"]]
        common = {"type": "scatter", "name": name, "legendgroup": name}
        x = [int(epoch) for epoch in found.index]
        if (found["greatest"] > found["least"]).any():
            yield _band(common, x, found, look["color"])
        ends = f"{int(row['seeds'])} seed{'s' * (row['seeds'] != 1)}"
        texts = [
            hover([row["label"], f"epoch {epoch}", f"{metric(mean)}, {ends}"])
            for epoch, mean in zip(x, found["mean"], strict=True)
        ]
        more = {"text": texts, "hovertemplate": "%{text}<extra></extra>", "line": look}
        yield {**common, "mode": "lines", "x": x, "y": found["mean"].tolist(), **more}


def _band(common: Trace, x: list[int], found: pd.DataFrame, hue: str) -> Trace:
    """Return the range over seeds as one closed shape."""
    around = [*found["greatest"], *reversed(found["least"].tolist())]
    fill = {"fill": "toself", "fillcolor": hue, "opacity": 0.15, "hoverinfo": "skip"}
    edge = {"mode": "none", "x": [*x, *reversed(x)], "y": around}
    return {**common, **edge, **fill}

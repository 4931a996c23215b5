"""The metrics that points are judged by: their columns, their printed names, their directions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric that points are judged by."""

    column: str
    """The column of `runs` that holds it."""
    name: str
    """The name on axes and in headings, with the unit in brackets if it has one."""
    short: str
    """The abbreviation for legends."""
    less_is_better: bool = True
    """Whether smaller values are better; True unless stated."""


# A study is judged by the first of these that it measured.
METRICS: dict[str, Metric] = {
    "rmse": Metric(column="rmse", name="RMSE of W", short="RMSE"),
    "top_accuracy": Metric(
        column="top_accuracy", name="top test accuracy", short="top", less_is_better=False
    ),
    "nelbo_nats": Metric(column="nelbo_nats", name="negative ELBO (nats)", short="nats"),
    "cider": Metric(
        column="cider", name="CIDEr-D of the test sentences", short="CIDEr", less_is_better=False
    ),
    "perplexity": Metric(column="perplexity", name="test perplexity", short="perplexity"),
    "step_ms": Metric(column="step_ms", name="training step (ms)", short="ms"),
    "forward_ms": Metric(column="forward_ms", name="forward pass (ms)", short="ms"),
    "num_params": Metric(column="num_params", name="parameters", short="P"),
}
# The trade-off figure plots the first of these that was measured.
LEARNED = ("rmse", "top_accuracy", "nelbo_nats")

# The metric of each learned task: a column of runs, and the direction that is better.
TASK_METRICS: dict[str, tuple[str, str]] = {
    "recovery": ("rmse", "minimize"),
    "action": ("top_accuracy", "maximize"),
    "features": ("top_accuracy", "maximize"),
    "motion": ("top_accuracy", "maximize"),
    "draw": ("nelbo_nats", "minimize"),
    "caption": ("cider", "maximize"),
}

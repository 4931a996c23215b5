"""Which columns points are judged by, what they are called, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A column points are judged by: its name in print and whether less is better."""

    column: str
    name: str
    short: str
    less_is_better: bool = True


# In the order a study is judged by: the first one that was measured.
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
# The metrics of what was learned, in the order a study is judged by.
LEARNED = ("rmse", "top_accuracy", "nelbo_nats")

# What a learned task is judged by: a column of runs, and whether less or more of it is good.
TASK_METRICS: dict[str, tuple[str, str]] = {
    "recovery": ("rmse", "minimize"),
    "action": ("top_accuracy", "maximize"),
    "features": ("top_accuracy", "maximize"),
    "motion": ("top_accuracy", "maximize"),
    "draw": ("nelbo_nats", "minimize"),
    "caption": ("cider", "maximize"),
}

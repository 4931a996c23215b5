"""Tables and lines about runs in progress, for `status` and `run`."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence
from typing import Any

from rankbench.common.table import TerminalTable
from rankbench.common.text import duration, metric
from rankbench.study.in_progress import RunInProgress


def running_table(runs: Sequence[RunInProgress]) -> TerminalTable:
    """Return a table of the runs in progress."""
    drop = ("pid", "machine", "loss", "worker")
    table = TerminalTable("run", title="runs in progress", drop=drop)
    table.add_column("machine", no_wrap=True)
    table.add_numbers("pid", "worker", "epoch", "loss", "metric", "time left")
    for run in runs:
        where = (run.host, str(run.pid), str(run.worker))
        known = f"{run.metric} {metric(run.value)}" if run.metric else "-"
        table.add_row(run_name(run), *where, _epoch(run), metric(run.loss), known, _left(run))
    return table


def run_note(run: RunInProgress) -> str:
    """Return a line such as "tucker d=2 R=2 seed 0: epoch 3/10, loss 0.2, 12.0 s left"."""
    parts = [f"epoch {_epoch(run)}" if run.epochs is not None else "being measured"]
    if run.loss is not None:
        parts.append(f"loss {metric(run.loss)}")
    if run.metric is not None:
        parts.append(f"{run.metric} {metric(run.value)}")
    if run.left_s is not None:
        parts.append(f"{_left(run)} left")
    return f"{run_name(run)}: {', '.join(parts)}"


def run_name(run: RunInProgress) -> str:
    """Return the layer of a run with its seed, or with the number of seeds it trains together."""
    seeds = f"seed {run.seeds[0]}" if len(run.seeds) == 1 else f"{len(run.seeds)} seeds"
    return f"{run.label} {seeds}"


def running_facts(run: RunInProgress) -> dict[str, Any]:
    """Return a run in progress in the form that docs/reference/json.md describes."""
    names = ("host", "pid", "worker", "point_id", "label", "seeds", "epochs", "epoch", "loss")
    found = dataclasses.asdict(run)
    return {
        **{name: found[name] for name in (*names, "metric", "value")},
        "started_at": datetime.datetime.fromtimestamp(run.started_at, datetime.UTC),
        "left_s": run.left_s,
    }


def _epoch(run: RunInProgress) -> str:
    return f"{run.epoch}/{run.epochs}" if run.epochs is not None else "-"


def _left(run: RunInProgress) -> str:
    return "-" if run.left_s is None else duration(run.left_s)

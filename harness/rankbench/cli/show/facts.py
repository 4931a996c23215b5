"""JSON contents of `plan` and `status`, as plain values."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from rankbench.cli.show.fronts import front_of
from rankbench.cli.show.running import running_facts
from rankbench.cli.show.summary import failures
from rankbench.common.text import label
from rankbench.engine.queue import Grid
from rankbench.engine.runner import StudyRun
from rankbench.layers.planning.choice import cost as layer_cost
from rankbench.study.in_progress import runs_in_progress
from rankbench.tasks.facts import layer_facts

_LAYER = ("decomposition", "in_modes", "out_modes", "num_params", "compression_ratio")


def study_facts(execution: StudyRun) -> dict[str, Any]:
    """Return what both commands show: name, results folder and progress."""
    study, own = execution.study, execution.own_rows()
    grid = execution.grid
    return {
        "study": study.name,
        "description": study.description,
        "results": str(execution.store.place),
        "runs": len(grid.points) * len(study.seeds) if grid is not None else None,
        "runs_to_measure": execution.planned(),
        "earlier_runs": len(execution.rows) - len(own),
    }


def plan_points(grid: Grid, seconds: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return all points of a grid, with their sizes and the estimated time of one run each."""
    return [
        {
            "point_id": name,
            "label": label({**layer_facts(point.layer), **point.task.describe()}),
            **{key: layer_facts(point.layer)[key] for key in _LAYER},
            "flops_per_row": layer_cost(point.layer, 1).flops,
            "params": grid.params[name],
            "estimated_s": seconds[name],
        }
        for name, point in grid.points.items()
    ]


def status_facts(execution: StudyRun) -> dict[str, Any]:
    """Return progress, reasons of failures and, with several objectives, the Pareto front."""
    study = execution.study
    rows = list(execution.rows.values())
    several = len(study.search.objectives) > 1
    return {
        **study_facts(execution),
        "statuses": dict(sorted(Counter(row["status"] for row in rows).items())),
        "failures": [
            {"status": status, "reason": told, "runs": len(runs), "example": min(runs)}
            for (status, told), runs in failures(rows)
        ],
        "front": front_facts(execution) if several else None,
        "in_progress": [running_facts(run) for run in runs_in_progress(execution.folder)],
    }


def front_facts(execution: StudyRun) -> dict[str, Any]:
    """Return the Pareto front of a study."""
    found = front_of(execution.study, execution.own_rows())
    columns = [column for column, _ in execution.study.search.objectives]
    return {
        "points": [
            {
                "point_id": runs[0]["point_id"],
                "label": label(runs[0]),
                "params": json.loads(runs[0]["params"]),
                "objectives": dict(zip(columns, values, strict=True)),
            }
            for runs, values in zip(found.points, found.values, strict=True)
        ],
        "dominated": found.dominated,
        "infeasible": found.infeasible,
        "share": found.share,
    }

"""What the planner's check measured, as rows of `runs` and `samples`."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from typing import Any

from rankbench.bench.plans import Shape, Verdict
from rankbench.layers.kernels.target import Target
from rankbench.layers.planning.choice import Choice
from rankbench.measure.machine import provenance
from rankbench.tasks.base import digest
from rankbench.tasks.facts import layer_facts

Row = dict[str, Any]


def plan_rows(verdict: Verdict, target: Target) -> Iterator[dict[str, list[Row]]]:
    """Per contender its row of `runs` and its samples; a repeat has the same run_id."""
    place = {**provenance("cpu"), "threads": target.threads, "dtype": target.dtype}
    best_s = verdict.best[1]
    for number_of, (choice, own) in enumerate(verdict.timed):
        if not own:
            continue
        row = _row(verdict.shape, choice, target) | place
        row["map_ms"] = 1e3 * statistics.median(own)
        row["plan_ratio"] = statistics.median(own) / best_s if number_of == 0 else None
        samples = [
            {"phase": "map", "sample": index, "ms": 1e3 * seconds}
            for index, seconds in enumerate(own)
        ]
        yield {"runs": [row], "samples": samples}


def _row(shape: Shape, choice: Choice, target: Target) -> Row:
    config = {
        "task": {"name": "plans", "rows": shape.rows},
        "layer": {"in_modes": shape.layer.in_modes, "out_modes": shape.layer.out_modes},
        "decomposition": [shape.layer.name, shape.layer.ranks],
        "contraction": choice.describe(),
        "target": [target.device, target.dtype, target.threads],
    }
    point_id = digest(json.dumps(config))
    return {
        **layer_facts(shape.layer),
        "run_id": point_id,
        "point_id": point_id,
        "seed": 0,
        "status": "done",
        "task": "plans",
        "config": json.dumps(config),
        "params": "{}",
        "rows": shape.rows,
        "kernel": choice.kernel,
        "contraction": choice.contraction.describe(),
        "forward_flops": choice.contraction.flops(shape.rows),
        "largest_intermediate": choice.contraction.largest_intermediate(shape.rows),
        "predicted_forward_ms": 1e3 * choice.forward_s,
        "predicted_backward_ms": 1e3 * choice.backward_s,
    }

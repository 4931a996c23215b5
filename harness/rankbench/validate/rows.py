"""What a sweep measured, as rows of `runs` and `samples`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from rankbench.layers.kernels.target import Target
from rankbench.measure.machine import provenance
from rankbench.tasks.base import digest
from rankbench.tasks.facts import layer_facts
from rankbench.validate.measurement import SweepMeasurement
from rankbench.validate.sweeps import Sweep

Row = dict[str, Any]


def rows(
    sweep: Sweep, measurements: Sequence[SweepMeasurement], target: Target
) -> Iterator[dict[str, list[Row]]]:
    """Per point its row of `runs` and its samples; a repeat has the same run_id.

    A point that was counted only has another run_id than the same point timed, so that neither
    replaces the other.
    """
    place = {**provenance("cpu"), "threads": target.threads, "dtype": target.dtype}
    for one in measurements:
        row = place | _identity(sweep, one) | _counts(one) | _measured(one)
        yield {"runs": [row], "samples": _samples(one)}


def _identity(sweep: Sweep, one: SweepMeasurement) -> Row:
    point = one.point
    config = {
        "task": {"name": "validate", "method": sweep.method, "rows": point.rows},
        "sweep": [sweep.variable, point.value],
        "layer": {"in_modes": point.layer.in_modes, "out_modes": point.layer.out_modes},
        "ranks": point.layer.ranks,
        "plan": [point.layer.plan, point.layer.kernel],
    }
    point_id = digest(json.dumps(config))
    return {
        **layer_facts(point.layer),
        "run_id": digest(f"{point_id}:{'timed' if one.timed else 'counted'}"),
        "point_id": point_id,
        "seed": 0,
        "status": "done",
        "task": "validate",
        "config": json.dumps(config),
        "params": "{}",
        "sweep": sweep.variable,
        "swept": point.value,
        "rows": point.rows,
    }


def _counts(one: SweepMeasurement) -> Row:
    found, count = one.choice.contraction, one.point.rows
    forward, backward = one.planned
    return {
        "kernel": one.choice.kernel if one.timed else None,
        "contraction": found.describe(),
        "forward_flops": forward,
        "backward_flops": backward,
        "counted_forward_flops": one.counted[0],
        "counted_backward_flops": one.counted[1],
        "largest_intermediate": found.largest_intermediate(count),
        "largest_gradient": found.largest_gradient(count),
        "predicted_forward_ms": 1e3 * one.choice.forward_s,
        "predicted_backward_ms": 1e3 * one.choice.backward_s,
    }


def _measured(one: SweepMeasurement) -> Row:
    times = {f"{phase}_ms": one.median_ms(phase) for phase in one.timed}
    return times | {f"{phase}_peak_mb": peak for phase, peak in one.peak_mb.items()}


def _samples(one: SweepMeasurement) -> list[Row]:
    return [
        {"phase": phase, "sample": index, "ms": sample.ms, "cpu_ms": sample.cpu_ms}
        for phase, timed in one.timed.items()
        for index, sample in enumerate(timed)
    ]

"""Turn the measurements of a sweep into rows of `runs` and `samples`."""

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
    """Make the row of `runs` and the rows of `samples` of each point.

    A repeated measurement has the same run_id. A point that was only counted and the same point
    timed have different run_ids, so that neither replaces the other.

    Args:
        sweep: The sweep.
        measurements: Its points, counted and perhaps timed.
        target: The machine and type that was planned for.
    """
    common = {**provenance("cpu"), "threads": target.threads, "dtype": target.dtype}
    for measurement in measurements:
        row = common | _identity(sweep, measurement) | _counts(measurement)
        yield {"runs": [row | _measured(measurement)], "samples": _samples(measurement)}


def _identity(sweep: Sweep, measurement: SweepMeasurement) -> Row:
    point = measurement.point
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
        "run_id": digest(f"{point_id}:{'timed' if measurement.timed else 'counted'}"),
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


def _counts(measurement: SweepMeasurement) -> Row:
    choice, count = measurement.choice, measurement.point.rows
    contraction = choice.contraction
    forward, backward = measurement.planned
    return {
        "kernel": choice.kernel if measurement.timed else None,
        "contraction": contraction.describe(),
        "forward_flops": forward,
        "backward_flops": backward,
        "counted_forward_flops": measurement.counted[0],
        "counted_backward_flops": measurement.counted[1],
        "largest_intermediate": contraction.largest_intermediate(count),
        "largest_gradient": contraction.largest_gradient(count),
        "predicted_forward_ms": 1e3 * choice.forward_s,
        "predicted_backward_ms": 1e3 * choice.backward_s,
    }


def _measured(measurement: SweepMeasurement) -> Row:
    times = {f"{phase}_ms": measurement.median_ms(phase) for phase in measurement.timed}
    return times | {f"{phase}_peak_mb": peak for phase, peak in measurement.peak_mb.items()}


def _samples(measurement: SweepMeasurement) -> list[Row]:
    return [
        {"phase": phase, "sample": index, "ms": sample.ms, "cpu_ms": sample.cpu_ms}
        for phase, timed in measurement.timed.items()
        for index, sample in enumerate(timed)
    ]

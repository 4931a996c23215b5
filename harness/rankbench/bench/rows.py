"""Turn the results of a contest into rows of `runs` and `samples`."""

from __future__ import annotations

import json
import statistics
from typing import Any

import torch

from rankbench.bench.contenders import SAME
from rankbench.bench.contest import SEED, ContestMeasurement, Result
from rankbench.bench.floor import Rates, floor_ms, step_floor_ms
from rankbench.measure.machine import provenance
from rankbench.tasks.base import digest
from rankbench.tasks.facts import layer_facts

Row = dict[str, Any]
Tables = dict[str, list[Row]]


def tables(measurement: ContestMeasurement, rates: Rates) -> list[Tables]:
    """Make the row of `runs` and the rows of `samples` of each contender.

    A repeated measurement has the same run_id.

    Args:
        measurement: The contest and its results.
        rates: The peak rates of this machine.
    """
    machine = provenance(measurement.contest.device)
    by_contender = []
    for name, result in measurement.results.items():
        row = machine | _identity(measurement, name) | _floors(measurement, name, rates)
        row |= _measured(measurement, result)
        by_contender.append({"runs": [row], "samples": _samples(result)})
    return by_contender


def _identity(measurement: ContestMeasurement, name: str) -> Row:
    """Return the columns that identify what was measured."""
    contest, layer = measurement.contest, measurement.layer
    contender = measurement.contenders[name]
    config = json.dumps(contest.config(name), sort_keys=True)
    point_id = digest(config)
    return {
        "run_id": digest(f"{point_id}:{contest.threads}"),
        "point_id": point_id,
        "seed": SEED,
        "task": "bench",
        "input_map": contest.name,
        "contender": name,
        "contender_version": contender.version(),
        "computes": contender.computes(layer),
        **layer_facts(layer),
        "cell": "lstm",
        "hidden_size": contest.input_map.hidden_size,
        "config": config,
        "params": "{}",
        "rows": contest.rows,
        "dtype": contest.dtype,
        "threads": contest.threads,
    }


def _floors(measurement: ContestMeasurement, name: str, rates: Rates) -> Row:
    """Return the peak rates, and the least times they allow for contenders with the same map."""
    contest, layer = measurement.contest, measurement.layer
    row: Row = {"gemm_rate": rates.flops_s, "memory_rate": rates.bytes_s}
    if measurement.contenders[name].computes(layer) == SAME:
        where = (layer, contest.rows, getattr(torch, contest.dtype), rates)
        row |= {"forward_floor_ms": floor_ms(*where), "step_floor_ms": step_floor_ms(*where)}
    return row


def _measured(measurement: ContestMeasurement, result: Result) -> Row:
    """Return status, parameter counts, median times and peak memory."""
    params = result.num_params
    return {
        "status": result.status,
        "error": result.error,
        "traceback": result.traceback,
        "num_params": params,
        **result.facts,
        "compression_ratio": measurement.layer.dense_params / params if params else None,
        "model_params": result.model_params,
        "step_peak_mb": result.peak_mb,
        "started_at": result.started_at,
        "duration_s": sum(t.ms for timed in result.timed.values() for t in timed) / 1e3,
        **{
            f"{phase}_ms": statistics.median(sample.ms for sample in timed)
            for phase, timed in result.timed.items()
        },
    }


def _samples(result: Result) -> list[Row]:
    return [
        {"phase": phase, "sample": index, "ms": sample.ms, "cpu_ms": sample.cpu_ms}
        for phase, timed in result.timed.items()
        for index, sample in enumerate(timed)
    ]

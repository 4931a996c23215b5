"""Small results tables for tests of the analysis, made through the schema."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from rankbench.store.schema import arrow_schema
from rankbench.store.store import Store

Row = dict[str, Any]
_PANDAS = {
    pa.string(): pd.StringDtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}


def frame(table: str, rows: list[Row]) -> pd.DataFrame:
    """Rows of a results table as `rankbench.load` gives them."""
    arrow = pa.Table.from_pylist(rows, schema=arrow_schema(table))
    made = arrow.to_pandas(types_mapper=_PANDAS.get)
    for field in arrow.schema:
        if field.type == pa.list_(pa.int64()):
            lists = [
                None if value is None else tuple(value) for value in arrow[field.name].to_pylist()
            ]
            made[field.name] = pd.Series(lists, index=made.index, dtype=object)
    return made


def run(decomposition: str = "dense", seed: int = 0, **facts: Any) -> Row:
    """A finished run of a 64x64 map; `facts` are columns of the schema."""
    row: Row = {
        "study": "test",
        "status": "done",
        "task": "recovery",
        "target": "low_rank",
        "noise": 0.05,
        "samples": 1000,
        "learner": "adam",
        "decomposition": decomposition,
        "core_order": 2,
        "in_features": 64,
        "out_features": 64,
        "dense_params": 4096,
        "num_params": 4096,
        "plan": "optimal",
        **facts,
    }
    row["compression_ratio"] = row["dense_params"] / row["num_params"]
    measured = ("rmse", "accuracy", "status", "error", "_ms", "_loss", "epochs", "study", "device")
    point = {k: v for k, v in row.items() if not k.endswith(measured)}
    row.setdefault("point_id", _digest(point))
    return row | {"seed": seed, "run_id": _digest([row["point_id"], seed])}


def block_term(R: int = 1, N: int = 1, d: int = 2, seed: int = 0, **facts: Any) -> Row:
    """A finished run of a block-term layer."""
    ranks = {"tucker_rank": R, "cp_rank": N, "ranks": [R] * d + [N]}
    return run("block_term", seed, **ranks, core_order=d, **facts)


def ring(R: int, seed: int = 0, **facts: Any) -> Row:
    """A finished run of a tensor ring over four modes."""
    return run("tensor_ring", seed, tr_rank=R, ranks=[R] * 4, **facts)


UCF11 = {
    "task": "action",
    "target": None,
    "noise": None,
    "samples": None,
    "split": "clip",
    "cell": "lstm",
    "hidden_size": 256,
    "in_features": 57600,
    "out_features": 1024,
    "dense_params": 58982400,
    "config": json.dumps({"task": {"name": "action", "classes": 11}}),
}


def lstm(top: float, seed: int = 0, **facts: Any) -> Row:
    """A finished run of the dense LSTM on UCF11, `top` its top accuracy."""
    dense = {"in_modes": [57600], "out_modes": [1024], "num_params": 58982400, "core_order": 1}
    return run("dense", seed, top_accuracy=top, **{**UCF11, **dense, **facts})


def bt_lstm(R: int, num_params: int, top: float, seed: int = 0, **facts: Any) -> Row:
    """A finished run of a BT-LSTM with N=2 on UCF11, `top` its top accuracy."""
    given = {"in_modes": [8, 20, 20, 18], "out_modes": [16, 4, 4, 4], "num_params": num_params}
    return block_term(R, 2, 4, seed, top_accuracy=top, **{**UCF11, **given, **facts})


def epochs(run: Row, **columns: list[float]) -> list[Row]:
    """Curve of a run, from one list per column."""
    length = len(next(iter(columns.values())))
    return [
        {
            "study": run["study"],
            "run_id": run["run_id"],
            "epoch": i + 1,
            **{name: values[i] for name, values in columns.items()},
        }
        for i in range(length)
    ]


def samples(run: Row, **phases: list[float]) -> list[Row]:
    """Raw timings of a run in ms, from one list per phase."""
    return [
        {"study": run["study"], "run_id": run["run_id"], "phase": phase, "sample": i, "ms": ms}
        for phase, values in phases.items()
        for i, ms in enumerate(values)
    ]


def weights(run: Row, **matrices: Any) -> list[Row]:
    """Matrices of a run: `target`, `recovered`."""
    return [
        {
            "study": run["study"],
            "run_id": run["run_id"],
            "name": name,
            "shape": list(matrix.shape),
            "values": matrix.ravel().tolist(),
        }
        for name, matrix in matrices.items()
    ]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def store_runs(root: Path, study: str, runs: list[Row], *others: Row) -> None:
    """Write `runs` into the results of `study`; `others` are rows of the other tables."""
    store = Store(root, study)
    for run_ in runs:
        tables: dict[str, list[Row]] = {"runs": [{**run_, "study": study}]}
        for row in others:
            if row["run_id"] == run_["run_id"]:
                tables.setdefault(_table(row), []).append({**row, "study": study})
        store.write_run(tables)


def _table(row: Row) -> str:
    """The table a row belongs to, by a column no other table has."""
    owners = {"epoch": "epochs", "sample": "samples", "shape": "weights", "sentence": "sentences"}
    return next(table for column, table in owners.items() if column in row)

"""Results at size: seconds of load, query and status over many rows; run by name.

`python -m tests.benchmarks.test_results_benchmark [studies] [rows]` makes `studies` studies of
`rows` runs each (default 100 of 10 000) in a temporary folder and prints the seconds of each.
"""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rankbench.store.parquet_file import COMPACT
from rankbench.store.query import load, query
from rankbench.store.schema import TABLES, arrow_schema

STUDY = """
task: {{name: recovery}}
layer: {{}}
space:
  shared: {{task: {{noise: [0.05, 0.1, 0.2]}}}}
  branches: {{cp: {{layer: {{decomposition: [cp], core_order: [2], cp_rank: [1, 2]}}}}}}
search: {{objectives: {{rmse: minimize}}}}
results: {root}
"""
SQL = {
    "one study, filtered": "select run_id, rmse from runs where study = 'study-0' and rmse < 0.001",
    "all, filtered": "select study, run_id, rmse from runs where rmse < 0.00001 and cp_rank = 3",
    "all, grouped": "select decomposition, avg(rmse), count(*) from runs group by 1",
    "all columns, filtered": "select * from runs where rmse < 0.00001",
}


def make_study(root: Path, name: str, count: int, seed: int = 0) -> None:
    """A compact file of `count` runs in which every column has values of a likely size."""
    folder = root / name / "runs"
    folder.mkdir(parents=True)
    draw = np.random.default_rng(seed)
    schema, path = arrow_schema("runs"), folder / "compact-1.parquet"
    ids = [f"{number:016x}" for number in sorted(draw.integers(0, 2**62, count).tolist())]
    with pq.ParquetWriter(path, schema, write_page_checksum=True, compression="zstd") as file:
        for first in range(0, count, COMPACT["row_group_size"]):
            group = ids[first : first + COMPACT["row_group_size"]]
            columns = [_values(field, name, group, draw) for field in schema]
            file.write_table(pa.table(columns, schema=schema))


def _values(field: pa.Field, study: str, ids: list[str], draw: np.random.Generator) -> Any:
    count = len(ids)
    if field.name in ("study", "run_id", "status"):
        return {"study": [study] * count, "run_id": ids, "status": ["done"] * count}[field.name]
    if field.name in ("error", "traceback"):
        return pa.nulls(count, pa.string())
    numbers = draw.integers(1, 9, count)
    if field.name in ("config", "params"):
        return [
            _text(field.name, int(number), run) for number, run in zip(numbers, ids, strict=True)
        ]
    if field.type == pa.string():
        return [f"{field.name}-{number}" for number in numbers]
    if field.type == pa.list_(pa.int64()):
        return [[int(number)] * 4 for number in numbers]
    if pa.types.is_timestamp(field.type):
        return [datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)] * count
    return pa.array(draw.random(count) if field.type == pa.float64() else numbers).cast(field.type)


def _text(name: str, number: int, run_id: str) -> str:
    if name == "params":
        return json.dumps({"layer.cp_rank": number, "task.noise": 0.05})
    layer = {"decomposition": "cp", "in_modes": [4, 8, 8], "cp_rank": number, "plan": "auto"}
    return json.dumps(
        {"task": {"name": "recovery", "data": run_id}, "layer": layer}
        | {
            "training": {"epochs": 1500, "learning_rate": 0.001, "batch_size": 64},
        }
    )


def timed(do: Callable[[], Any]) -> str:
    """Wall seconds, and those of the processor in this process, which a busy machine spares."""
    start, cpu = time.perf_counter(), time.process_time()
    do()
    return f"{time.perf_counter() - start:7.3f} ({time.process_time() - cpu:.3f})"


def status(root: Path, name: str) -> None:
    """`rankbench status` in a process of its own, as a person starts it."""
    file = root / f"{name}.yaml"
    file.write_text(STUDY.format(root=root))
    command = [sys.executable, "-m", "rankbench", "status", str(file)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("sql", SQL.values(), ids=SQL.keys())
@pytest.mark.benchmark(group="results at size")
def test_query_of_ten_studies(benchmark: Any, tmp_path: Path, sql: str) -> None:
    for number in range(10):
        make_study(tmp_path, f"study-{number}", 1_000, number)
    assert benchmark.pedantic(lambda: query(sql, tmp_path), rounds=3).num_columns >= 2


@pytest.mark.benchmark(group="results at size")
def test_load_of_a_study(benchmark: Any, tmp_path: Path) -> None:
    make_study(tmp_path, "study-0", 10_000)
    frame = benchmark.pedantic(lambda: load("study-0", root=tmp_path), rounds=3)
    assert frame.shape == (10_000, len(TABLES["runs"]))


def main(studies: int = 100, rows: int = 10_000) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for number in range(studies):
            make_study(root, f"study-{number}", rows, number)
        print(f"{studies} studies of {rows} runs, {len(TABLES['runs'])} columns; seconds (CPU):")
        what = {f"query: {name}": (lambda sql=sql: query(sql, root)) for name, sql in SQL.items()}
        what["load of one study"] = lambda: load("study-0", root=root)
        few = ["run_id", "decomposition", "core_order", "num_params", "rmse"]
        what["load of one study, 5 columns"] = lambda: load("study-0", root=root, columns=few)
        what["rankbench status"] = lambda: status(root, "study-0")
        for name, do in what.items():
            print(f"{name:32} {timed(do)} {timed(do)}", flush=True)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))

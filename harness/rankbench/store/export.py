"""Stored results for other tools: a table of one or more studies as CSV or Parquet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from rankbench.common.checks import one_of
from rankbench.store.query import studies
from rankbench.store.schema import TABLES
from rankbench.store.store import Store

_WRITERS = {".csv": "CSV", ".parquet": "Parquet"}


def export_table(
    names: Sequence[str],
    path: Path,
    *,
    table: str = "runs",
    columns: Sequence[str] | None = None,
    root: Path | str = "results",
) -> int:
    """Write the rows of `table` of all studies named, all columns or those given; their number.

    Raises ValueError for a study without results, an unknown column or another ending of `path`,
    and for what the format cannot hold (see `write_table`).
    """
    one_of("--to", path.suffix, _WRITERS)
    one_of("table", table, TABLES)
    found = studies(root)
    for name in names:
        one_of("study", name, found)
    rows = pa.concat_tables([Store(root, name).read(table, columns) for name in names])
    write_table(rows, path.suffix.removeprefix("."), path)
    return int(rows.num_rows)


def write_table(table: pa.Table, kind: str, to: Path | BinaryIO) -> None:
    """Write a table as a CSV or Parquet file, each column under its own heading.

    CSV has no lists: they are written as text.

    Args:
        table: the rows; two columns may have the same name where `kind` is "csv".
        kind: "csv" or "parquet".
        to: a path, or a stream that takes bytes.

    Raises:
        ValueError: two columns have one name, which most readers of Parquet refuse or rename, or
            a column is an interval of time, which neither format holds. Nothing is written then.
    """
    _check_writable(table.schema, kind)
    if kind == "csv":
        pyarrow.csv.write_csv(_flat(table), to)
    else:
        pyarrow.parquet.write_table(table, to)


def _check_writable(schema: pa.Schema, kind: str) -> None:
    for field in schema:
        if pa.types.is_interval(field.type):
            raise ValueError(
                f"{kind} cannot hold the column {field.name!r} ({field.type}): cast it to text,"
                " or take epoch(...) of it for seconds"
            )
    double = [name for name, count in Counter(schema.names).items() if count > 1]
    if double and kind == "parquet":
        raise ValueError(
            "parquet needs a different name for every column, got more than one"
            f" {' and more than one '.join(double)}: rename them (`select r.rmse as other_rmse`)"
        )


def _flat(table: pa.Table) -> pa.Table:
    for index, field in enumerate(table.schema):
        if pa.types.is_nested(field.type):
            text = pa.array([None if v is None else str(v) for v in table[index].to_pylist()])
            table = table.set_column(index, field.name, text)
    return table

"""Export a table of one or more studies as a CSV or Parquet file for other tools."""

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
    """Write the rows of a table of some studies to a file.

    Args:
        names: The studies.
        path: The file; its ending .csv or .parquet determines the format.
        table: The table.
        columns: The columns to write; None for all.
        root: The folder or URL of all results.

    Returns:
        The number of rows written.

    Raises:
        ValueError: If a study has no results, a column or the ending of `path` is unknown, or the
            format cannot hold a column (see `write_table`).
    """
    one_of("--to", path.suffix, _WRITERS)
    one_of("table", table, TABLES)
    stored = studies(root)
    for name in names:
        one_of("study", name, stored)
    rows = pa.concat_tables([Store(root, name).read(table, columns) for name in names])
    write_table(rows, path.suffix.removeprefix("."), path)
    return int(rows.num_rows)


def write_table(table: pa.Table, kind: str, to: Path | BinaryIO) -> None:
    """Write a table as a CSV or Parquet file, each column under its own heading.

    CSV cannot hold lists; they are written as text.

    Args:
        table: The rows. For "csv", several columns may have the same name.
        kind: "csv" or "parquet".
        to: A path or a binary stream.

    Raises:
        ValueError: If two columns of a Parquet file have the same name, which most readers refuse
            or rename, or if a column is an interval of time, which neither format holds. Nothing
            is written then.
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
                " or use epoch(...) to convert it to seconds"
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

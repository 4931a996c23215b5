"""Stored results for other tools: a table of one or more studies as CSV or Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

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

    Raises ValueError for a study without results, an unknown column or another ending of `path`.
    """
    one_of("--to", path.suffix, _WRITERS)
    one_of("table", table, TABLES)
    found = studies(root)
    for name in names:
        one_of("study", name, found)
    rows = pa.concat_tables([Store(root, name).read(table, columns) for name in names])
    if path.suffix == ".csv":
        pyarrow.csv.write_csv(flat(rows), path)
    else:
        pyarrow.parquet.write_table(rows, path)
    return int(rows.num_rows)


def flat(table: pa.Table) -> pa.Table:
    """A table that CSV can hold: it has no lists, they are written as text."""
    for index, field in enumerate(table.schema):
        if pa.types.is_nested(field.type):
            text = pa.array([None if v is None else str(v) for v in table[index].to_pylist()])
            table = table.set_column(index, field.name, text)
    return table

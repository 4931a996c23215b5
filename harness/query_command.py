"""rankbench query: SQL over every study's tables, on the screen or in a file."""

from __future__ import annotations

import argparse
import sys

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from rich.table import Table

from harness.exits import DONE
from harness.export import flat
from harness.label import metric
from harness.query import query
from harness.screen import Screen


def answer(arguments: argparse.Namespace) -> int:
    """Answer SQL over every study's tables."""
    table = query(arguments.sql, root=arguments.results)
    if arguments.out is None:
        if arguments.format == "csv":
            pyarrow.csv.write_csv(flat(table), sys.stdout.buffer)
        elif arguments.format == "parquet":
            raise ValueError("--format parquet needs --out FILE")
        else:
            Screen().print(_screen(table))
        return DONE
    if arguments.format == "table":
        raise ValueError("--out needs --format csv or parquet")
    if arguments.format == "csv":
        pyarrow.csv.write_csv(flat(table), arguments.out)
    else:
        pyarrow.parquet.write_table(table, arguments.out)
    print(f"{table.num_rows} rows in {arguments.out}")
    return DONE


def _screen(table: pa.Table) -> Table:
    shown = Table(*table.column_names)
    for row in table.to_pylist():
        shown.add_row(*(metric(v) if isinstance(v, float) else str(v) for v in row.values()))
    return shown

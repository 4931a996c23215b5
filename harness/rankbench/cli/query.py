"""rankbench query: SQL over every study's tables, on the screen or in a file."""

from __future__ import annotations

import argparse
import sys

import pyarrow as pa
from rich.table import Table

from rankbench.common.exit_codes import DONE
from rankbench.common.terminal import Screen
from rankbench.common.text import metric
from rankbench.store.export import write_table
from rankbench.store.query import query


def answer(arguments: argparse.Namespace) -> int:
    """Answer SQL over every study's tables."""
    table = query(arguments.sql, root=arguments.results)
    if arguments.out is None:
        if arguments.format == "csv":
            write_table(table, "csv", sys.stdout.buffer)
        elif arguments.format == "parquet":
            raise ValueError("--format parquet needs --out FILE")
        else:
            Screen().print(_screen(table))
        return DONE
    if arguments.format == "table":
        raise ValueError("--out needs --format csv or parquet")
    write_table(table, arguments.format, arguments.out)
    print(f"{table.num_rows} rows in {arguments.out}")
    return DONE


def _screen(table: pa.Table) -> Table:
    # By position: two columns of an answer may have the same name.
    shown = Table(*table.column_names)
    columns = [column.to_pylist() for column in table.itercolumns()]
    for row in zip(*columns, strict=True):
        shown.add_row(*(metric(v) if isinstance(v, float) else str(v) for v in row))
    return shown

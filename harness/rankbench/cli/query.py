"""`rankbench query`: run SQL on the results of all studies."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankbench.cli.parsing.command import Command
from rankbench.cli.parsing.options import add_results
from rankbench.cli.parsing.parser import CommandParser
from rankbench.common.exit_codes import DONE
from rankbench.common.terminal import Screen
from rankbench.common.text import metric

if TYPE_CHECKING:
    import pyarrow as pa

    from rankbench.common.table import TerminalTable


def query(arguments: argparse.Namespace) -> int:
    """Run an SQL query and print the result, or write it to a file."""
    from rankbench.store.query import query as answer

    _check(arguments)
    table = answer(arguments.sql, root=arguments.results)
    if arguments.out is not None or arguments.format != "table":
        _write(table, arguments)
    else:
        Screen().print(screen_table(table))
    return DONE


def _check(arguments: argparse.Namespace) -> None:
    if arguments.out is None and arguments.format == "parquet":
        raise ValueError("--format parquet needs --out FILE")
    if arguments.out is not None and arguments.format == "table":
        raise ValueError("--out needs --format csv or parquet")


def _write(table: pa.Table, arguments: argparse.Namespace) -> None:
    from rankbench.store.export import write_table

    write_table(table, arguments.format, arguments.out or sys.stdout.buffer)
    if arguments.out is not None:
        print(f"{table.num_rows} rows in {arguments.out}")


def screen_table(table: pa.Table) -> TerminalTable:
    """Convert an Arrow table for the terminal; column names may occur more than once."""
    import pyarrow as pa

    from rankbench.common.table import TerminalTable

    shown = TerminalTable()
    for name, column in zip(table.column_names, table.columns, strict=True):
        number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
        whole = number or not pa.types.is_string(column.type)
        shown.add_column(name, justify="right" if number else "left", no_wrap=whole)
    for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
        shown.add_row(*map(_cell, row))
    return shown


def _cell(value: Any) -> str:
    return metric(value) if value is None or isinstance(value, float) else str(value)


def _add_options(command: CommandParser) -> None:
    command.add_argument("sql", metavar="SQL", help="a SELECT statement of DuckDB's SQL")
    command.add_argument(
        "--format", choices=("table", "csv", "parquet"), default="table", help="form of the answer"
    )
    command.add_argument("--out", type=Path, metavar="FILE", help="file to write, csv or parquet")
    add_results(command)


COMMAND = Command(
    name="query",
    help="Answer SQL over the results of every study.",
    details="""\
The tables are runs, epochs, samples, weights, beams and sentences. Every table
has the columns study and run_id.""",
    examples=(
        'rankbench query "select decomposition, avg(rmse) from runs group by 1"',
        'rankbench query "select * from epochs" --format csv --out epochs.csv',
    ),
    add_options=_add_options,
    execute=query,
)

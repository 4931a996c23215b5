"""Read results as a pandas frame, or query those of all studies with SQL."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
from pyarrow.fs import FileType

from rankbench.common.checks import one_of
from rankbench.store.location import is_remote, redact_url
from rankbench.store.object_store.objects import listed
from rankbench.store.schema import TABLES, arrow_schema
from rankbench.store.sources import Sources, union_tables
from rankbench.store.store import Store

_DTYPES = {
    pa.string(): pd.StringDtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}

_SELECTS = {
    duckdb.StatementType.SELECT,
    duckdb.StatementType.EXPLAIN,
    duckdb.StatementType.MULTI,  # pivot
}
_CONFINED = (
    "set timezone = 'UTC'",
    "set autoinstall_known_extensions = false",
    "set autoload_known_extensions = false",
    "set enable_external_access = false",
    "set lock_configuration = true",
)


def studies(root: Path | str = "results") -> list[str]:
    """List the studies that have results.

    Args:
        root: The folder or URL of all results.

    Raises:
        OSError: If an object store does not answer; the error is one line.
    """
    return [name for name in _folders(root) if Store(root, name).tables.has_rows()]


def load(
    study: str,
    table: str = "runs",
    root: Path | str = "results",
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Load a table of a study as a pandas frame.

    Columns have the dtypes string, Int64, boolean, float64 (NaN for null) and datetime64 in UTC.
    A list of integers (modes, ranks) is a tuple, by which rows can be grouped; a list of floats
    (the entries of a matrix) is an array.

    Args:
        study: The study's name.
        table: `runs`, `epochs`, `samples`, `weights`, `beams` or `sentences`.
        root: The folder or URL of all results.
        columns: The columns to load; None for all.

    Raises:
        ValueError: If the study has no results (the error names those that have), or the table or
            a column is unknown.

    Example:
        >>> load("no_such_study", root="no_such_folder")
        Traceback (most recent call last):
        ...
        ValueError: study 'no_such_study' has no results: there are none in no_such_folder
    """
    stored = studies(root)
    if not stored:
        raise ValueError(f"study {study!r} has no results: there are none in {redact_url(root)}")
    one_of("study", study, stored)
    rows = Store(root, study).read(table, columns)
    frame: pd.DataFrame = rows.to_pandas(types_mapper=_DTYPES.get)
    for field in rows.schema:
        if field.type == pa.list_(pa.int64()):
            lists = rows[field.name].to_pylist()
            tuples = [None if entries is None else tuple(entries) for entries in lists]
            frame[field.name] = pd.Series(tuples, index=frame.index, dtype=object)
    return frame


def query(sql: str, root: Path | str = "results") -> pa.Table:
    """Run one SQL select of DuckDB over the tables of all studies together.

    The tables are `runs`, `epochs`, `samples`, `weights`, `beams` and `sentences`; times are in
    UTC. A query can read these tables only and write nothing: access to files and the network,
    extensions and settings are disabled.

    Args:
        sql: The select.
        root: The folder or URL of all results.

    Raises:
        ValueError: If there are no results, `sql` is not one select, or DuckDB rejects it.

    Example:
        >>> query("select decomposition, min(rmse) from runs group by all", root="no_such_folder")
        Traceback (most recent call last):
        ...
        ValueError: there are no results in no_such_folder
    """
    stored = studies(root)
    if not stored:
        raise ValueError(f"there are no results in {redact_url(root)}")
    used = [table for table in TABLES if re.search(rf"\b{table}\b", sql, re.IGNORECASE)]
    stores = [Store(root, name) for name in stored]
    try:
        return _answer(sql, {table: union_tables(table, stores) for table in used})
    except _Unread:
        # A compaction has removed a file, or a file is damaged. Read everything now, which skips
        # damaged files with a warning.
        return _answer(sql, {table: union_tables(table, stores, lazily=False) for table in used})


class _Unread(Exception):
    """Raised when DuckDB cannot read a file."""


def _answer(sql: str, sources: dict[str, Sources]) -> pa.Table:
    with duckdb.connect(config={"python_enable_replacements": False}) as connection:
        for table in TABLES:
            _offer(connection, table, sources.get(table))
        for setting in _CONFINED:
            connection.execute(setting)
        try:
            statements = connection.extract_statements(sql)
            if len(statements) == 1 and statements[0].type in _SELECTS:
                return connection.sql(sql).to_arrow_table()
        except duckdb.Error as error:
            why = str(error).partition("\n")[0]
            if "Parquet" in why or "Failed to open" in why or "ArrowArray" in why:
                raise _Unread from error
            raise ValueError(f"{why} (tables: {', '.join(TABLES)})") from error
        except OSError as error:
            raise _Unread from error
    raise ValueError(f"a query must be a select, got {sql!r} (tables: {', '.join(TABLES)})")


def _offer(connection: duckdb.DuckDBPyConnection, table: str, sources: Sources | None) -> None:
    """Register a table with DuckDB: a view of the files that it scans and of the other rows."""
    if sources is None or sources.stored is None:
        rows = arrow_schema(table).empty_table() if sources is None else sources.rows
        connection.register(table, rows)
        return
    connection.register(f"_{table}_stored", sources.stored)
    connection.register(f"_{table}_rows", sources.rows)
    both = f"select * from _{table}_stored union all select * from _{table}_rows"
    connection.execute(f"create view {table} as {both}")


def _folders(root: Path | str) -> list[str]:
    if is_remote(root):
        names = [name for name, _ in listed(str(root), "", FileType.Directory)]
    else:
        names = [path.name for path in Path(root).glob("*") if path.is_dir()]
    return sorted(name for name in names if not name.startswith("."))

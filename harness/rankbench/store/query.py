"""Results of many studies, to look at: a pandas frame, or an answer in SQL."""

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
    """Names of the studies below `root`, a folder or a URL, that have results.

    Raises OSError in one line where an object store does not answer.
    """
    return [name for name in _folders(root) if Store(root, name).tables.has_rows()]


def load(
    study: str,
    table: str = "runs",
    root: Path | str = "results",
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """The rows of a study's `table` as a frame with every column of the schema, or with `columns`.

    Text is string, whole numbers Int64, truth values boolean, numbers float64 with NaN for null,
    times datetime64 in UTC. A list of whole numbers (modes, ranks) is a tuple, which can be
    grouped by; a list of numbers (the entries of a matrix) is an array.

    Raises ValueError for a study without results, naming those that have some, and for a column
    that the table does not have.
    """
    found = studies(root)
    if not found:
        raise ValueError(f"study {study!r} has no results: there are none in {redact_url(root)}")
    one_of("study", study, found)
    rows = Store(root, study).read(table, columns)
    frame: pd.DataFrame = rows.to_pandas(types_mapper=_DTYPES.get)
    for field in rows.schema:
        if field.type == pa.list_(pa.int64()):
            lists = rows[field.name].to_pylist()
            tuples = [None if entries is None else tuple(entries) for entries in lists]
            frame[field.name] = pd.Series(tuples, index=frame.index, dtype=object)
    return frame


def query(sql: str, root: Path | str = "results") -> pa.Table:
    """The answer of DuckDB to one select over the tables of all studies together.

    The tables are `runs`, `epochs`, `samples` and `weights`; times are in UTC. Nothing but these
    can be read, and nothing written: DuckDB gets no file, no network, no extension, no setting.

    Raises ValueError for SQL that DuckDB refuses, and where there are no results.
    """
    found = studies(root)
    if not found:
        raise ValueError(f"there are no results in {redact_url(root)}")
    used = [table for table in TABLES if re.search(rf"\b{table}\b", sql, re.IGNORECASE)]
    stores = [Store(root, name) for name in found]
    try:
        return _answer(sql, {table: union_tables(table, stores) for table in used})
    except _Unread:
        # A compaction took a file away, or it is damaged: what can be read, with its warnings.
        return _answer(sql, {table: union_tables(table, stores, lazily=False) for table in used})


class _Unread(Exception):
    """DuckDB met a file that it could not read."""


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
    """Let SQL see a table: the files that DuckDB reads what it needs of, and the rows beside."""
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

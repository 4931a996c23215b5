"""Results of many studies, to look at: a pandas frame, or an answer in SQL."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa

from harness.checks import one_of
from harness.merge import Listing
from harness.schema import TABLES, arrow_schema
from harness.store import Store

_DTYPES = {
    pa.string(): pd.StringDtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}


def studies(root: Path | str = "results") -> list[str]:
    """Names of the studies below `root` that have results."""
    folders = sorted(path for path in Path(root).glob("[!.]*") if path.is_dir())
    return [folder.name for folder in folders if any(_has_rows(folder / name) for name in TABLES)]


def load(study: str, table: str = "runs", root: Path | str = "results") -> pd.DataFrame:
    """The rows of a study's `table` as a frame with every column of the schema.

    Text is string, whole numbers Int64, truth values boolean, numbers float64 with NaN for null,
    times datetime64 in UTC. A list of whole numbers (modes, ranks) is a tuple, which can be
    grouped by; a list of numbers (the entries of a matrix) is an array.

    Raises ValueError for a study without results, naming those that have some.
    """
    found = studies(root)
    if not found:
        raise ValueError(f"study {study!r} has no results: there are none in {root}")
    one_of("study", study, found)
    rows = Store(root, study).read(table)
    frame: pd.DataFrame = rows.to_pandas(types_mapper=_DTYPES.get)
    for field in rows.schema:
        if field.type == pa.list_(pa.int64()):
            lists = rows[field.name].to_pylist()
            tuples = [None if entries is None else tuple(entries) for entries in lists]
            frame[field.name] = pd.Series(tuples, index=frame.index, dtype=object)
    return frame


def query(sql: str, root: Path | str = "results") -> pa.Table:
    """The answer of DuckDB to `sql` over the tables of all studies together.

    The tables are `runs`, `epochs`, `samples` and `weights`; times are in UTC.

    Raises ValueError for SQL that DuckDB refuses, and where there are no results.
    """
    found = studies(root)
    if not found:
        raise ValueError(f"there are no results in {root}")
    with duckdb.connect(config={"python_enable_replacements": False}) as connection:
        connection.execute("set timezone = 'UTC'")
        for table in TABLES:
            mentioned = re.search(rf"\b{table}\b", sql, re.IGNORECASE) is not None
            connection.register(table, _together(table, root, found if mentioned else []))
        try:
            answer = connection.sql(sql)
            if answer is not None:
                return answer.to_arrow_table()
        except duckdb.Error as error:
            why = str(error).partition("\n")[0]
            raise ValueError(f"{why} (tables: {', '.join(TABLES)})") from error
    raise ValueError(f"a query must be a select, got {sql!r} (tables: {', '.join(TABLES)})")


def _together(table: str, root: Path | str, names: list[str]) -> pa.Table:
    parts = [Store(root, name).read(table) for name in names]
    return pa.concat_tables([arrow_schema(table).empty_table(), *parts])


def _has_rows(folder: Path) -> bool:
    listing = Listing.of(folder)
    return bool(listing.compacts or listing.fragments)

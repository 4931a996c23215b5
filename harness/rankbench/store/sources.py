"""Prepare one table of many studies for SQL: files that can be scanned, and rows in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
from pyarrow.dataset import FileSystemDataset, ParquetFileFragment

from rankbench.store.schema import arrow_schema
from rankbench.store.store import Store


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The rows of one table; each row is in exactly one of the two parts."""

    stored: FileSystemDataset | None
    """Files of which a query reads only the columns and row groups that it needs; None for none."""
    rows: pa.Table
    """All other rows, in memory."""


def union_tables(table: str, stores: Iterable[Store], lazily: bool = True) -> Sources:
    """Return the rows of a table in several stores.

    Args:
        table: The table's name.
        stores: The stores.
        lazily: Leave what can be scanned in its files. If False, all rows are read now.
    """
    schema = arrow_schema(table)
    files: list[ParquetFileFragment] = []
    parts = [schema.empty_table()]
    for store in stores:
        scannable = store.tables.scannable(table) if lazily else None
        if scannable is None:
            parts.append(store.read(table))
        else:
            files += scannable[0]
            parts.append(scannable[1])
    stored = (
        FileSystemDataset(files, schema, files[0].format, files[0].filesystem) if files else None
    )
    return Sources(stored=stored, rows=pa.concat_tables(parts))

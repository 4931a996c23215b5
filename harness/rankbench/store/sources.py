"""One table of many studies as SQL sees it: files to be read in part, and rows beside them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
from pyarrow.dataset import FileSystemDataset, ParquetFileFragment

from rankbench.store.schema import arrow_schema
from rankbench.store.store import Store


@dataclass(frozen=True, kw_only=True)
class Sources:
    """`stored`: files of which only the needed columns and row groups are read; `rows`: the rest.

    Every row of both counts, and none is in both.
    """

    stored: FileSystemDataset | None
    rows: pa.Table


def union_tables(table: str, stores: Iterable[Store], lazily: bool = True) -> Sources:
    """The rows of `table` in all `stores`; without `lazily` all of them are read now."""
    schema = arrow_schema(table)
    files: list[ParquetFileFragment] = []
    parts = [schema.empty_table()]
    for store in stores:
        found = store.tables.scannable(table) if lazily else None
        if found is None:
            parts.append(store.read(table))
        else:
            files += found[0]
            parts.append(found[1])
    stored = (
        FileSystemDataset(files, schema, files[0].format, files[0].filesystem) if files else None
    )
    return Sources(stored=stored, rows=pa.concat_tables(parts))

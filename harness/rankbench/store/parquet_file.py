"""Convert rows to Arrow, write Arrow to durable Parquet files, and read them again.

"Durable" means that the file and its folder entry are fsynced, so that they survive a power loss.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from rankbench.common.checks import one_of
from rankbench.common.files import make_folder, unwritable
from rankbench.store.schema import RENAMED, SCHEMA_VERSION, arrow_schema

if TYPE_CHECKING:
    import pyarrow.dataset as ds

# A fragment has a few rows. Reading 1 000 of them in this format takes a third of the time that
# zstd and dictionaries take.
FRAGMENT = {"compression": "lz4", "use_dictionary": False, "write_statistics": False}
COMPACT = {"compression": "zstd", "row_group_size": 131_072}
_THREADS_FROM = 5_000  # Files with more rows are read by several threads.


_INTEGERS = (pa.int64(), pa.list_(pa.int64()))
_REFUSED = (pa.ArrowException, OverflowError, TypeError, ValueError)
_NAME = re.compile(r"(?!compact-)[A-Za-z0-9_][A-Za-z0-9_.-]*")


def check_name(name: str, value: Any) -> None:
    """Raise ValueError unless `value` can be the name of a folder or file of results."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(
            f"{name} must consist of letters, digits, _, - and . and not begin with -, . or "
            f"compact-, got {value!r}"
        )


def to_arrow(table: str, rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Convert rows to an Arrow table.

    Args:
        table: The table's name.
        rows: Values by column; a missing value is null.

    Raises:
        ValueError: If a key is not a column of the table, or a column cannot hold a value.
    """
    schema = arrow_schema(table)
    names = dict.fromkeys(schema.names)
    for key in (key for row in rows for key in row if key not in names):
        one_of(f"column of the table {table}", key, names)
    return pa.table([_column(table, field, rows) for field in schema], schema=schema)


def _column(table: str, field: pa.Field, rows: Sequence[dict[str, Any]]) -> pa.Array:
    values = [_printable(row.get(field.name)) for row in rows]
    if all(value is None for value in values):
        return pa.nulls(len(values), field.type)
    try:
        return _array(values, field.type)
    except _REFUSED:
        bad = next(value for value in values if not _fits(value, field.type))
        raise ValueError(
            f"{field.name} of the table {table} must be {field.type}, got {bad!r:.100}"
        ) from None


def _printable(value: Any) -> Any:
    # A file name in an error message may hold bytes that are not UTF-8, which Arrow refuses.
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    array = pa.array(values, kind)
    if kind in _INTEGERS:
        pa.array(values).cast(kind)  # Raises for 1.5, which pa.array above truncates to 1.
    return array


def _fits(value: Any, kind: pa.DataType) -> bool:
    try:
        _array([value], kind)
    except _REFUSED:
        return False
    return True


def stage(path: Path, rows: pa.Table, **options: Any) -> Path:
    """Write rows to a hidden file beside `path`, fsync it, and return its path.

    Args:
        path: Where `publish` is going to move the file.
        rows: The rows.
        options: Options of `pyarrow.parquet.write_table`, such as FRAGMENT or COMPACT.

    Raises:
        OSError: If it cannot be written; the error names `path`, and no file is left behind.
    """
    temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}.tmp"
    try:
        make_folder(path.parent)
        with temporary.open("xb") as file:
            pq.write_table(rows, file, write_page_checksum=True, **options)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise unwritable(path, error) from error
    except BaseException:  # An interrupt must not leave the file behind either.
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def scanned(path: Path, schema: pa.Schema) -> ds.ParquetFileFragment | None:
    """Open a file for a partial scan; return None if it has another schema or is damaged."""
    import pyarrow.dataset as ds  # Imports pandas, for which most commands need not wait.
    from pyarrow.fs import LocalFileSystem

    options = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
    parquet = ds.ParquetFileFormat(default_fragment_scan_options=options)
    file = parquet.make_fragment(str(path), LocalFileSystem())
    try:
        return file if file.physical_schema.equals(schema) else None
    except (pa.ArrowException, OSError):
        return None


def rows_in(path: Path) -> int:
    """Return the number of rows of a file; 0 if it is damaged."""
    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError):
        return 0


def read_file(path: Path | pa.NativeFile, schema: pa.Schema) -> pa.Table:
    """Read the rows of one file in the columns of `schema`, whichever schema the file has.

    A column that the file lacks is null, integers become floats if the schema says so, and other
    columns of the file are left out.

    Args:
        path: The file, or a stream of its bytes.
        schema: The columns to return; the file must have `run_id`.

    Raises:
        ValueError, OSError, pyarrow.ArrowException: If the file is damaged or has an incompatible
            schema.
    """
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        written = {RENAMED.get(name, name): name for name in file.schema_arrow.names}
        present = [name for name in schema.names if name in written]
        if "run_id" not in present:
            raise ValueError("it has no column run_id")
        threads = file.metadata.num_rows > _THREADS_FROM
        rows = file.read(columns=[written[name] for name in present], use_threads=threads)
        version = int((file.schema_arrow.metadata or {}).get(b"schema_version", SCHEMA_VERSION))
        rows = rows.rename_columns([RENAMED.get(name, name) for name in rows.column_names])
    if rows.schema.equals(schema):
        return rows
    columns = {name: rows[name] for name in present}
    try:
        cast = [_cast(columns.get(field.name), field.type, rows.num_rows) for field in schema]
    except pa.ArrowException as error:
        if version <= SCHEMA_VERSION:
            raise
        raise ValueError(
            f"its schema version is {version}, this Rankbench reads versions up to "
            f"{SCHEMA_VERSION}: {error}"
        ) from error
    return pa.table(cast, schema=schema)


def _cast(column: pa.ChunkedArray | None, kind: pa.DataType, length: int) -> pa.ChunkedArray:
    if column is None:
        return pa.nulls(length, kind)
    return column.cast(kind, safe=not pa.types.is_floating(kind))

"""The files of a stored set: one array of rows, and an index with checksums.

`frames.npy` has the rows of all clips; `clips.parquet` has one row per clip, and metadata that a
checksum protects.

Letters: n rows (frames of all clips), f features of a row.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rankbench.common.cache_dir import cache_folder
from rankbench.common.checks import one_of, positive_int
from rankbench.store.parquet_file import check_name

VERSION = 1  # Increase it when the same settings produce other bytes.
ARRAY, INDEX = "frames.npy", "clips.parquet"
META, SEAL, SKIPPED = b"rankbench", b"rankbench.seal", b"rankbench.skipped"
KINDS = ("frames", "features", "images", "captions")
DTYPES = ("uint8", "float16", "float32")
SCHEMA = {
    "clip_id": pa.string(),
    "cls": pa.string(),
    "label": pa.int64(),
    "group": pa.string(),
    "first": pa.int64(),
    "frames": pa.int64(),
    "ordered": pa.bool_(),
    "clip_len": pa.int64(),
    "source": pa.string(),
    "source_hash": pa.string(),
    "frames_hash": pa.string(),
}

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class SetSpec:
    """What a set contains and how it is made.

    The same spec and the same sources always give the same bytes.

    Raises:
        ValueError: A value is not valid.
    """

    name: str
    """Name of the set, and of its folder."""
    kind: str
    """frames, features, images or captions."""
    features: int
    """Values of a row, f."""
    dtype: str = "uint8"
    """Type of a value: uint8, float16 or float32."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Everything else that determines the values, in JSON types, stored as metadata.

    For frames these are height, width, channels, fit, every and per_clip.
    """

    def __post_init__(self) -> None:
        check_name("the name of a set", self.name)
        one_of("kind of a set", self.kind, KINDS)
        positive_int("features of a set", self.features)
        one_of("dtype of a set", self.dtype, DTYPES)

    def plain(self) -> Row:
        """Return the spec as a dict, in the types that JSON gives back."""
        plain: Row = json.loads(
            json.dumps(
                {
                    "name": self.name,
                    "kind": self.kind,
                    "features": self.features,
                    "dtype": self.dtype,
                    "settings": dict(self.settings),
                    "version": VERSION,
                }
            )
        )
        return plain

    def metadata(self, rows: Sequence[Row]) -> Row:
        """Return the metadata that the index of these clips has under "rankbench"."""
        return {
            "name": self.name,
            "kind": self.kind,
            "shape": [sum(row["frames"] for row in rows), self.features],
            **self.settings,
            "dtype": self.dtype,
            "data_hash": self.data_hash(rows),
            "version": VERSION,
        }

    def data_hash(self, rows: Iterable[Row]) -> str:
        """Hash the contents of the sources and the settings, without their paths: 16 hex digits."""
        sources = sorted((row["clip_id"], row["source_hash"]) for row in rows)
        settings = {key: value for key, value in self.plain().items() if key != "name"}
        return short_hash(json.dumps([sources, settings], sort_keys=True).encode())


def sets_folder() -> Path:
    """Return the folder with one folder per set."""
    return cache_folder() / "sets"


def set_folder(name: str) -> Path:
    """Return the folder of a set, which need not exist.

    Raises:
        ValueError: `name` is not a valid name of a folder.
    """
    check_name("the name of a set", name)
    return sets_folder() / name


def short_hash(data: bytes | memoryview) -> str:
    """Return the first 16 hex digits of the SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()[:16]


def index_table(rows: Sequence[Row], metadata: Row, skipped: Sequence[Row]) -> pa.Table:
    """Build the index of a set: one row per clip, with metadata and a checksum of everything.

    Columns that are not in SCHEMA come last.

    Args:
        rows: One dict per clip.
        metadata: What `SetSpec.metadata` returns.
        skipped: The clips that are not in the set, with reasons.
    """
    extras = dict.fromkeys(name for row in rows for name in row if name not in SCHEMA)
    columns = {name: pa.array([row[name] for row in rows], kind) for name, kind in SCHEMA.items()}
    columns |= {name: _inferred([row.get(name) for row in rows]) for name in extras}
    table = pa.table(columns)
    entries = {META: json.dumps(metadata).encode(), SKIPPED: json.dumps(list(skipped)).encode()}
    return table.replace_schema_metadata(entries | {SEAL: _seal(table, entries).encode()})


def _inferred(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # Values of several types are stored as text.
        return pa.array([None if value is None else str(value) for value in values])


def _seal(table: pa.Table, metadata: Mapping[bytes, bytes]) -> str:
    columns = [[field.name, str(field.type)] for field in table.schema]
    content = json.dumps([columns, table.to_pylist()]).encode()
    return short_hash(b"\n".join([content, metadata[META], metadata[SKIPPED]]))


def read_set(folder: Path) -> tuple[np.memmap[Any, Any], pa.Table]:
    """Read the set in a folder.

    Returns:
        The memory-mapped, read-only array (n, f), and the index.

    Raises:
        FileNotFoundError: There is no set.
        ValueError: The set is truncated or altered; the message says how.
    """
    stamp = _stamp(folder)
    try:
        array_and_index = _read_both(folder)
    except ValueError:
        if _stamp(folder) == stamp:
            raise
    else:
        if _stamp(folder) == stamp:
            return array_and_index
    # Another process has published the set meanwhile: array and index might not belong together.
    return read_set(folder)


def _stamp(folder: Path) -> tuple[int, int, int]:
    path = folder / INDEX
    if not path.exists():
        raise FileNotFoundError(path)
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size


def _read_both(folder: Path) -> tuple[np.memmap[Any, Any], pa.Table]:
    table = read_index(folder)
    try:
        meta = json.loads(table.schema.metadata[META])
        shape, dtype = tuple(meta["shape"]), np.dtype(meta["dtype"])
        array = np.load(folder / ARRAY, mmap_mode="r")
    except (OSError, ValueError, EOFError, KeyError, TypeError) as error:
        raise ValueError(f"{ARRAY} cannot be read: {_line(error)}") from error
    if not isinstance(array, np.memmap) or array.shape != shape or array.dtype != dtype:
        raise ValueError(f"{ARRAY} does not match {INDEX}")
    if not array.flags.c_contiguous:
        raise ValueError(f"{ARRAY} is not in C order")
    size, expected = (folder / ARRAY).stat().st_size, array.offset + array.nbytes
    if size != expected:
        raise ValueError(f"{ARRAY} must have {expected} bytes, it has {size}")
    counts = table["frames"].to_numpy()
    if counts.sum() != shape[0] or (table["first"].to_numpy() != counts.cumsum() - counts).any():
        raise ValueError(f"the clips of {INDEX} do not add up to {shape[0]} frames")
    return array, table


def read_index(folder: Path) -> pa.Table:
    """Read the index of the set in a folder, and verify its checksum.

    Raises:
        FileNotFoundError: There is no index.
        ValueError: The index is damaged or altered.
    """
    path = folder / INDEX
    if not path.exists():
        raise FileNotFoundError(path)
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read(use_threads=False)
        metadata = {key: table.schema.metadata[key] for key in (META, SKIPPED, SEAL)}
        intact = metadata[SEAL].decode() == _seal(table, metadata)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{INDEX} cannot be read: {_line(error)}") from error
    if not intact:
        raise ValueError(f"{INDEX} was altered: its checksum is wrong")
    return table.replace_schema_metadata(metadata)  # Drops entries that the seal does not cover.


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

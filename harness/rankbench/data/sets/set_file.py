"""How a stored set lies on disk: one array of rows, and an index that vouches for it.

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

VERSION = 1  # raised when the same settings come to mean other bytes
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
    """What a set holds and how it is made: the same of the same sources gives the same bytes.

    `kind`: one of KINDS; `features`: f; `settings`: what else decides the values, as JSON takes it
    (of frames: height, width, channels, fit, every, per_clip), kept as metadata.
    """

    name: str
    kind: str
    features: int
    dtype: str = "uint8"
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name("the name of a set", self.name)
        one_of("kind of a set", self.kind, KINDS)
        positive_int("features of a set", self.features)
        one_of("dtype of a set", self.dtype, DTYPES)

    def plain(self) -> Row:
        """The spec as JSON gives it back."""
        made: Row = json.loads(
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
        return made

    def metadata(self, rows: Sequence[Row]) -> Row:
        """What stands under "rankbench" in the index of these clips."""
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
        """16 hex digits of the sources' contents and the settings, wherever the sources lie."""
        sources = sorted((row["clip_id"], row["source_hash"]) for row in rows)
        settings = {key: value for key, value in self.plain().items() if key != "name"}
        return short_hash(json.dumps([sources, settings], sort_keys=True).encode())


def sets_folder() -> Path:
    """The folder that holds a folder a set."""
    return cache_folder() / "sets"


def set_folder(name: str) -> Path:
    """The folder of one set, there or not.

    Raises ValueError for what cannot name a folder.
    """
    check_name("the name of a set", name)
    return sets_folder() / name


def short_hash(data: bytes | memoryview) -> str:
    """SHA-256, its first 16 hex digits."""
    return hashlib.sha256(data).hexdigest()[:16]


def index_table(rows: Sequence[Row], metadata: Row, skipped: Sequence[Row]) -> pa.Table:
    """The index of `rows`, columns beyond the schema after it, sealed with a hash of all of it."""
    extras = dict.fromkeys(name for row in rows for name in row if name not in SCHEMA)
    columns = {name: pa.array([row[name] for row in rows], kind) for name, kind in SCHEMA.items()}
    columns |= {name: _inferred([row.get(name) for row in rows]) for name in extras}
    table = pa.table(columns)
    told = {META: json.dumps(metadata).encode(), SKIPPED: json.dumps(list(skipped)).encode()}
    return table.replace_schema_metadata(told | {SEAL: _seal(table, told).encode()})


def _inferred(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # of several types: as text
        return pa.array([None if value is None else str(value) for value in values])


def _seal(table: pa.Table, told: Mapping[bytes, bytes]) -> str:
    columns = [[field.name, str(field.type)] for field in table.schema]
    content = json.dumps([columns, table.to_pylist()]).encode()
    return short_hash(b"\n".join([content, told[META], told[SKIPPED]]))


def read_set(folder: Path) -> tuple[np.memmap[Any, Any], pa.Table]:
    """The array (n, f), read-only and on disk, and the index of the set in `folder`.

    Raises FileNotFoundError when there is none, and ValueError saying what is wrong with one
    that was truncated or altered.
    """
    stamp = _stamp(folder)
    try:
        found = _read_both(folder)
    except ValueError:
        if _stamp(folder) == stamp:
            raise
    else:
        if _stamp(folder) == stamp:
            return found
    return read_set(folder)  # it was published anew meanwhile: never the array of another index


def _stamp(folder: Path) -> tuple[int, int, int]:
    path = folder / INDEX
    if not path.exists():
        raise FileNotFoundError(path)
    told = path.stat()
    return told.st_ino, told.st_mtime_ns, told.st_size


def _read_both(folder: Path) -> tuple[np.memmap[Any, Any], pa.Table]:
    table = read_index(folder)
    try:
        meta = json.loads(table.schema.metadata[META])
        shape, dtype = tuple(meta["shape"]), np.dtype(meta["dtype"])
        array = np.load(folder / ARRAY, mmap_mode="r")
    except (OSError, ValueError, EOFError, KeyError, TypeError) as error:
        raise ValueError(f"{ARRAY} cannot be read: {_line(error)}") from error
    if not isinstance(array, np.memmap) or array.shape != shape or array.dtype != dtype:
        raise ValueError(f"{ARRAY} is not what {INDEX} says")
    if not array.flags.c_contiguous:
        raise ValueError(f"{ARRAY} is not in C order")
    size, expected = (folder / ARRAY).stat().st_size, array.offset + array.nbytes
    if size != expected:
        raise ValueError(f"{ARRAY} has {size} bytes, not {expected}")
    counts = table["frames"].to_numpy()
    if counts.sum() != shape[0] or (table["first"].to_numpy() != counts.cumsum() - counts).any():
        raise ValueError(f"the clips of {INDEX} do not add up to {shape[0]} frames")
    return array, table


def read_index(folder: Path) -> pa.Table:
    """The index of the set in `folder`, once its seal is checked.

    Raises FileNotFoundError when there is none, and ValueError for one that was altered.
    """
    path = folder / INDEX
    if not path.exists():
        raise FileNotFoundError(path)
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read(use_threads=False)
        told = {key: table.schema.metadata[key] for key in (META, SKIPPED, SEAL)}
        whole = told[SEAL].decode() == _seal(table, told)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{INDEX} cannot be read: {_line(error)}") from error
    if not whole:
        raise ValueError(f"{INDEX} was altered: its checksum does not hold")
    return table.replace_schema_metadata(told)  # what else stands there is not sealed


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

"""Cache decoded frames on disk: a memory-mapped array and its index, built once for all workers."""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rankbench.common.cache_dir import cache_folder

Frames = NDArray[np.uint8]  # Of shape (clips, time, features).
Shape = tuple[int, int, int]
# Writes a frame, given its position (clip * time + step) and its bytes.
Write = Callable[[int, bytes], None]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a new cache entry contains."""

    index: pa.Table
    """One row per frame."""
    shape: Shape
    """Clips, time steps and features."""
    fill: Callable[[Write], None]
    """Writes all frames with the function that it is given."""


def open_or_build(key: str, plan: Callable[[], Contents]) -> tuple[Frames, pa.Table]:
    """Open a cache entry, or build it if it is missing or damaged.

    A lock makes sure that only one process builds an entry. Files get their final names when they
    are complete.

    Args:
        key: Name of the entry.
        plan: Describes the contents; called only to build the entry.

    Returns:
        The read-only, memory-mapped array, and its index.

    Raises:
        OSError: The cache cannot be written. Errors of `plan` are raised unchanged.
    """
    root = cache_folder()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root / f"{key}.lock"):
            return _load(root, key) or _build(root, key, plan())
    except OSError as error:
        raise OSError(
            f"cannot write the frame cache in {root}: {error.strerror or error};"
            " set RANKBENCH_CACHE to another folder"
        ) from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _load(root: Path, key: str) -> tuple[Frames, pa.Table] | None:
    array, index = root / f"{key}.npy", root / f"{key}.parquet"
    if not (array.exists() and index.exists()):
        return None
    try:
        table = pq.read_table(index, partitioning=None)
        shape = tuple(json.loads(table.schema.metadata[b"shape"]))
        frames: Frames = np.load(array, mmap_mode="r")
    except (OSError, ValueError, EOFError, KeyError, TypeError, pa.ArrowException) as error:
        log.info("rebuilding frame cache %s, which is damaged: %s", array, error)
        return None
    if frames.dtype != np.uint8 or frames.shape != shape or len(table) != shape[0] * shape[1]:
        log.info("rebuilding frame cache %s, which does not match its index", array)
        return None
    return frames, table


def _build(root: Path, key: str, contents: Contents) -> tuple[Frames, pa.Table]:
    """Write the array, then its index; `_load` ignores an array without an index."""
    clips, steps, size = contents.shape
    with _replacing(root / f"{key}.npy") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": contents.shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.flush()
        start = file.tell()
        file.truncate(start + clips * steps * size)
        # With a writable memory map, a full disk would kill the process instead of raising.
        contents.fill(lambda position, frame: _write_at(file, frame, start + position * size))
    index = contents.index.replace_schema_metadata({"shape": json.dumps(contents.shape)})
    with _replacing(root / f"{key}.parquet") as file:
        pq.write_table(index, file)
    stored = _load(root, key)
    if stored is None:
        raise OSError("the files do not read back as written")
    return stored


def _write_at(file: BinaryIO, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file.fileno(), view, offset)
        view, offset = view[written:], offset + written


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces `path` on success and is deleted on failure."""
    temporary = path.with_suffix(path.suffix + ".tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

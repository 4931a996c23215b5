"""Look up stored data sets by name, and open them after checking that they are intact."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa

from rankbench.data.sets.set_file import (
    INDEX,
    META,
    SKIPPED,
    SetSpec,
    read_set,
    set_folder,
    sets_folder,
    short_hash,
)
from rankbench.data.sets.set_writer import SetWriter
from rankbench.data.sets.sources import ORIGINS

__all__ = [
    "SetSpec",
    "SetWriter",
    "altered",
    "metadata",
    "names",
    "open_set",
    "set_folder",
    "sets_folder",
    "skipped",
    "unknown",
]


def names() -> list[str]:
    """Return the names of all published sets, without checking the sets."""
    return sorted(path.parent.name for path in sets_folder().glob(f"*/{INDEX}"))


def open_set(name: str) -> tuple[np.memmap[Any, Any], pa.Table]:
    """Open a set.

    Returns:
        The memory-mapped, read-only array (n, f), and the index with one row per clip.

    Raises:
        ValueError: The set does not exist, or is truncated or altered.
    """
    try:
        return read_set(set_folder(name))
    except FileNotFoundError:
        raise ValueError(unknown(name)) from None
    except ValueError as error:
        raise ValueError(
            f"the set {name} is damaged ({error}); `rankbench data` rebuilds it"
        ) from error


def metadata(index: pa.Table) -> dict[str, Any]:
    """Return the metadata in the index of a set: name, kind, shape, dtype, data_hash, settings."""
    decoded: dict[str, Any] = json.loads(index.schema.metadata[META])
    return decoded


def skipped(index: pa.Table) -> list[dict[str, Any]]:
    """Return the clips that were left out of a set: clip_id, source, source_hash, reason."""
    decoded: list[dict[str, Any]] = json.loads(index.schema.metadata[SKIPPED])
    return decoded


def altered(array: np.memmap[Any, Any], index: pa.Table) -> list[str]:
    """Return the clip_ids of clips whose bytes have changed since they were written."""
    rows = zip(*(index[name].to_pylist() for name in _PLACED), strict=True)
    return [
        clip
        for clip, first, frames, digest in rows
        if short_hash(array[first : first + frames].data.cast("B")) != digest
    ]


_PLACED = ("clip_id", "first", "frames", "frames_hash")


def unknown(name: str, kind: str = "frames") -> str:
    """Return one line about a set that does not exist: the cached sets, and how to make it."""
    cached = ", ".join(names()) or "none"
    if kind == "features":
        return (
            f"no set {name!r} is cached (cached: {cached});"
            " `rankbench data features NAME --extractor ...` makes it from a set of frames"
        )
    if kind == "images":
        return (
            f"no set {name!r} is cached (cached: {cached}); `rankbench data mnist PATH` makes one;"
            " an empty task.images uses the digits of scikit-learn"
        )
    if kind == "captions":
        return (
            f"no set {name!r} is cached (cached: {cached});"
            " `rankbench data captions NAME --captions FILE --features FILE` makes it"
        )
    where = f"; {ORIGINS[name]}" if name in ORIGINS else ""
    return (
        f"no set {name!r} is cached (cached: {cached});"
        f" `rankbench data {name if name in ORIGINS else 'frames ' + name} PATH` makes it{where}"
    )

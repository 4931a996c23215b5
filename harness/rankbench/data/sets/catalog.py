"""Stored sets of clips by name: what there is, opened whole or not at all."""

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
    """The sets that are published, whole or damaged."""
    return sorted(path.parent.name for path in sets_folder().glob(f"*/{INDEX}"))


def open_set(name: str) -> tuple[np.memmap[Any, Any], pa.Table]:
    """The array (n, f), read-only and on disk, and the index of a set, a row a clip.

    Raises ValueError for a set that is not there, and for one truncated or altered.
    """
    try:
        return read_set(set_folder(name))
    except FileNotFoundError:
        raise ValueError(unknown(name)) from None
    except ValueError as error:
        raise ValueError(
            f"the set {name} is damaged ({error}); `rankbench data` builds it again"
        ) from error


def metadata(index: pa.Table) -> dict[str, Any]:
    """What the index of a set says of it: name, kind, shape, dtype, data_hash, settings."""
    told: dict[str, Any] = json.loads(index.schema.metadata[META])
    return told


def skipped(index: pa.Table) -> list[dict[str, Any]]:
    """The clips that were left out of a set: clip_id, source, source_hash, reason."""
    told: list[dict[str, Any]] = json.loads(index.schema.metadata[SKIPPED])
    return told


def altered(array: np.memmap[Any, Any], index: pa.Table) -> list[str]:
    """The clips whose bytes are not those that were written."""
    rows = zip(*(index[name].to_pylist() for name in _PLACED), strict=True)
    return [
        clip
        for clip, first, frames, digest in rows
        if short_hash(array[first : first + frames].data.cast("B")) != digest
    ]


_PLACED = ("clip_id", "first", "frames", "frames_hash")


def unknown(name: str, kind: str = "frames") -> str:
    """The one line on a set that is not there: what is, and how to make it."""
    cached = ", ".join(names()) or "none"
    if kind == "features":
        return (
            f"no set {name!r} is cached (cached: {cached});"
            " `rankbench data features NAME --extractor ...` makes it of the frames of a set"
        )
    if kind == "images":
        return (
            f"no set {name!r} is cached (cached: {cached}); `rankbench data mnist PATH` makes one;"
            " an empty task.images takes the digits that scikit-learn ships"
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

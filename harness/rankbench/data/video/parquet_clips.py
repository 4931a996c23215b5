"""The clips of a Parquet file of JPEG frames, as a source of a stored set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_hashable

from rankbench.data.sets.set_file import SCHEMA
from rankbench.data.video.discover import DiscoveredClip
from rankbench.data.video.frame_files import pictures
from rankbench.data.video.index import KEYS, every_frame
from rankbench.data.video.media import JpegSpans, Span
from rankbench.data.where import Where

_TAKEN = frozenset((*KEYS, "cls", "true_frame"))
# What an index says of a clip; of these a file may know better than the pictures it holds.
_OWN, _TOLD = frozenset((*SCHEMA, "reason")), {"source": str, "clip_len": int}


def clips_of_parquet(path: Path, scratch: Path, where: Where = ()) -> list[DiscoveredClip]:
    """Every clip of the file, sorted by clip_id; its pictures are copied into `scratch`.

    Columns that are the same throughout each clip (supergroup, official splits) are kept; one of
    lists or the like is not.

    Raises ValueError for a file or columns that cannot be used, and for a clip of two classes.
    """
    index = every_frame(path, where)
    index["clip_id"] = index["clip_id"].astype(str)
    _check_one_class(path, index)
    unpacked = scratch / "pictures"
    spans = _copied(path, unpacked)
    kept = _constant(index)
    return [
        _found(str(clip), rows, JpegSpans(unpacked, tuple(spans[row] for row in rows.index)), kept)
        for clip, rows in index.groupby("clip_id", sort=True)
    ]


def _copied(path: Path, target: Path) -> list[Span]:
    """Where in `target` the picture of each row lies."""
    spans, offset = [], 0
    with target.open("wb") as file:
        for batch in pictures(path):
            for _, jpeg in batch:
                length = file.write(jpeg or b"")
                spans.append((offset, length))
                offset += length
    return spans


def _check_one_class(path: Path, index: pd.DataFrame) -> None:
    names = [name for name in ("label", "group", "cls") if name in index.columns]
    values = index.groupby("clip_id")[names].nunique(dropna=False)
    for name in names:
        mixed = values.index[values[name] > 1]
        if len(mixed):
            raise ValueError(
                f"frames file {path}: column {name!r} has more than one value in clip {mixed[0]}"
            )


def _constant(index: pd.DataFrame) -> list[str]:
    others = [
        name
        for name in index.columns
        if name not in _TAKEN
        and (name not in _OWN or name in _TOLD)
        and index[name].map(is_hashable).all()
    ]
    values = index.groupby("clip_id")[others].nunique(dropna=False).max()
    return [name for name in others if values[name] == 1]


def _found(clip: str, rows: pd.DataFrame, media: JpegSpans, kept: list[str]) -> DiscoveredClip:
    first = rows.iloc[0]
    label = int(first["label"])
    told = {name: _plain(first[name]) for name in kept}
    return DiscoveredClip(
        clip_id=clip,
        cls=str(label) if pd.isna(first.get("cls")) else str(first["cls"]),
        label=label,
        group=str(first["group"]),
        source=clip,
        media=media,
        ordered="true_frame" not in rows or bool((rows["true_frame"] >= 0).all()),
        extras={
            name: value
            for name, value in told.items()
            if name not in _TOLD or isinstance(value, _TOLD[name])
        },
    )


def _plain(value: Any) -> Any:
    """As JSON takes it: NumPy's scalars as Python's, missing as None, a date or bytes as text."""
    if pd.isna(value):
        return None
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, str | int | float) else str(value)

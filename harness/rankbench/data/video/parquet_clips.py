"""Read the clips of a Parquet file of JPEG frames, to store them as a set."""

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
# Columns that a set fills itself, and those of them that a file may override, with their types.
_OWN, _TOLD = frozenset((*SCHEMA, "reason")), {"source": str, "clip_len": int}


def clips_of_parquet(path: Path, scratch: Path, where: Where = ()) -> list[DiscoveredClip]:
    """Read the clips of a Parquet file.

    Columns with one value per clip, such as supergroup or official splits, are kept; columns of
    lists are not.

    Args:
        path: The file.
        scratch: Folder into which the pictures are copied.
        where: Pairs of a column and the value that a row must have.

    Returns:
        The clips, sorted by clip_id.

    Raises:
        ValueError: The file or a column cannot be used, or a clip has two classes.
    """
    index = every_frame(path, where)
    index["clip_id"] = index["clip_id"].astype(str)
    _check_one_class(path, index)
    unpacked = scratch / "pictures"
    spans = _copied(path, unpacked)
    columns = _constant(index)
    clips = []
    for clip, rows in index.groupby("clip_id", sort=True):
        media = JpegSpans(unpacked, tuple(spans[row] for row in rows.index))
        clips.append(_make_clip(str(clip), rows, media, columns))
    return clips


def _copied(path: Path, target: Path) -> list[Span]:
    """Copy the pictures into `target`, and return the position of each row's picture."""
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


def _make_clip(
    clip: str, rows: pd.DataFrame, media: JpegSpans, columns: list[str]
) -> DiscoveredClip:
    first = rows.iloc[0]
    label = int(first["label"])
    values = {name: _plain(first[name]) for name in columns}
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
            for name, value in values.items()
            if name not in _TOLD or isinstance(value, _TOLD[name])
        },
    )


def _plain(value: Any) -> Any:
    """Convert a value to a JSON value; a missing one becomes None, dates and bytes become text."""
    if pd.isna(value):
        return None
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, str | int | float) else str(value)

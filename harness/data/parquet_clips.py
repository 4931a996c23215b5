"""The clips of a Parquet file of JPEG frames, as a source of a stored set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.data.found import Found
from harness.data.frames import pictures
from harness.data.index import KEYS, Where, every_frame
from harness.data.media import JpegSpans, Span

_TAKEN = frozenset((*KEYS, "cls", "true_frame"))


def clips_of_parquet(path: Path, scratch: Path, where: Where = ()) -> list[Found]:
    """Every clip of the file, sorted by clip_id; its pictures are copied into `scratch`.

    Columns that are the same throughout each clip (supergroup, official splits) are kept.

    Raises ValueError for a file or columns that cannot be used.
    """
    index = every_frame(path, where)
    index["clip_id"] = index["clip_id"].astype(str)
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


def _constant(index: pd.DataFrame) -> list[str]:
    clips = index.groupby("clip_id")
    others = [name for name in index.columns if name not in _TAKEN]
    values = clips[others].nunique(dropna=False).max()
    return [name for name in others if values[name] == 1]


def _found(clip: str, rows: pd.DataFrame, media: JpegSpans, kept: list[str]) -> Found:
    first = rows.iloc[0]
    label = int(first["label"])
    return Found(
        clip_id=clip,
        cls=str(first["cls"]) if "cls" in rows else str(label),
        label=label,
        group=str(first["group"]),
        source=clip,
        media=media,
        ordered="true_frame" not in rows or bool((rows["true_frame"] >= 0).all()),
        extras={name: _plain(first[name]) for name in kept},
    )


def _plain(value: Any) -> Any:
    """As JSON takes it: NumPy's scalars as Python's, what is missing as None."""
    if pd.isna(value):
        return None
    return value.item() if isinstance(value, np.generic) else value

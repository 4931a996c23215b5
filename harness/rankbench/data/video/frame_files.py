"""Load clips from a Parquet file of JPEG frames, as one memory-mapped array.

Letters: c clips, t time steps, f features (height * width * channels, row after row).
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from rankbench.data.clips import Counts
from rankbench.data.video import cache
from rankbench.data.video.index import Decoding, frame_index, unreadable

if TYPE_CHECKING:
    import pandas as pd

MODES = {1: "L", 3: "RGB"}  # Pillow's mode, by number of channels.
FORMAT = 1  # Increase it when the same settings produce other bytes.
BATCH = 512  # Pictures in memory at once while decoding.

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameClips:
    """Decoded clips of a Parquet file, all of the same length, sorted by clip_id.

    Implements `Clips`.
    """

    frames: cache.Frames
    """Memory-mapped pixels (c, t, f)."""
    index: pd.DataFrame
    """Columns of the file except jpeg, with one row per frame in the order of `frames`."""
    data_hash: str
    """First 16 hex digits of the SHA-256 of the file."""

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def time_steps(self) -> int:
        """Number of frames of every clip."""
        steps: int = self.frames.shape[1]
        return steps

    @property
    def rows(self) -> NDArray[np.uint8]:
        """All frames of all clips (c * t, f)."""
        return self.frames.reshape(-1, self.frames.shape[2])

    @property
    def first(self) -> Counts:
        """Row of each clip's first frame."""
        return np.arange(len(self)) * self.time_steps

    @property
    def count(self) -> Counts:
        """Number of frames of each clip."""
        return np.full(len(self), self.time_steps)

    @property
    def ordered(self) -> bool:
        """Whether frames are known to be in the order of time: no `true_frame` is negative."""
        return "true_frame" not in self.index or bool((self.index["true_frame"] >= 0).all())

    def column(self, name: str) -> NDArray[Any]:
        """Return a column of the file with one value per clip.

        Raises:
            ValueError: The column does not exist, or a clip has no value or several values in it.
        """
        if name not in self.index:
            known = ", ".join(self.index.columns)
            raise ValueError(f"the frames file has no column {name!r}; its columns: {known}")
        column, clips = self.index[name], self.index["clip_id"]
        empty = column.isna().to_numpy()
        if empty.any():
            raise ValueError(f"column {name!r} is empty in clip {clips.iloc[empty.argmax()]}")
        values = column.to_numpy().reshape(len(self), self.time_steps)
        mixed = (values != values[:, :1]).any(axis=1)
        if mixed.any():
            clip = clips.iloc[mixed.argmax() * self.time_steps]
            raise ValueError(f"column {name!r} has more than one value in clip {clip}")
        first: NDArray[Any] = values[:, 0]
        return first


def load_clips(path: Path, decoding: Decoding) -> FrameClips:
    """Load the clips of a Parquet file; the first call decodes them into the cache.

    Frames are sorted by slot. If several rows have the same clip_id and slot, the first one counts.

    Args:
        path: A file with the columns `clip_id, label, group, slot, jpeg`.
        decoding: Size of a picture, time steps, and which rows to use.

    Raises:
        ValueError: The file, a column or a picture cannot be used.
    """
    digest = _digest(path)
    settings = json.dumps([FORMAT, digest, asdict(decoding)])
    key = f"frames-{hashlib.sha256(settings.encode()).hexdigest()[:32]}"

    def plan() -> cache.Contents:
        index = frame_index(path, decoding)
        clips = index["clip_id"].nunique()
        return cache.Contents(
            index=pa.Table.from_pandas(index, preserve_index=False),
            shape=(clips, len(index) // clips, decoding.features),
            fill=lambda write: _decode_all(path, index, decoding, write),
        )

    frames, index = cache.open_or_build(key, plan)
    return FrameClips(frames=frames, index=index.to_pandas(), data_hash=digest[:16])


def decode_frame(jpeg: bytes, decoding: Decoding) -> bytes:
    """Decode a JPEG picture to pixels, row by row, and resize it bilinearly if necessary.

    Raises:
        ValueError: The bytes are not a complete JPEG picture.
    """
    try:
        with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as picture:
            pixels = picture.convert(MODES[decoding.channels])
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError("the picture is not a complete JPEG") from error
    size = (decoding.width, decoding.height)
    if pixels.size != size:
        pixels = pixels.resize(size, Image.Resampling.BILINEAR)
    return pixels.tobytes()


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ValueError(f"frames file {path} cannot be read: {error.strerror}") from error


def _decode_all(path: Path, index: pd.DataFrame, decoding: Decoding, write: cache.Write) -> None:
    """Decode every frame of `index` and write it at its position in the index."""
    start = time.perf_counter()
    position_of = {row: position for position, row in enumerate(index.index)}

    def decode(frame: tuple[int, bytes | None]) -> None:
        row, jpeg = frame
        try:
            pixels = decode_frame(jpeg or b"", decoding)
        except ValueError as error:
            where = f"clip {index['clip_id'][row]}, slot {index['slot'][row]}"
            raise ValueError(f"frames file {path}: {where}: {error}") from error
        write(position_of[row], pixels)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for batch in pictures(path):
            for _ in pool.map(decode, [frame for frame in batch if frame[0] in position_of]):
                pass
    seconds = time.perf_counter() - start
    log.info("decoded %d frames of %s in %.1f s", len(index), path, seconds)


def pictures(path: Path) -> Iterator[Iterator[tuple[int, bytes | None]]]:
    """Iterate over the column jpeg in batches of (row in the file, picture)."""
    first = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH, columns=["jpeg"]):
                yield enumerate(batch.column(0).to_pylist(), first)
                first += len(batch)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, error) from error

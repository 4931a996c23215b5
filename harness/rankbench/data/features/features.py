"""Compute CNN features of the frames of a stored set, and store them as another set.

Letters: n frames of all clips, t of one clip.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankbench.common.checks import one_of
from rankbench.data.features.extractors import EXTRACTORS
from rankbench.data.features.net import Net
from rankbench.data.features.weights import weights_hash
from rankbench.data.sets.catalog import (
    SetSpec,
    SetWriter,
    altered,
    metadata,
    names,
    open_set,
    set_folder,
)
from rankbench.data.sets.progress import StorageProgress, unwatched
from rankbench.data.sets.set_file import Row, short_hash

DTYPE = "float16"
SHAPE = ("height", "width", "channels")  # Settings of a set of frames.
PLACED = ("first", "frames", "frames_hash")  # Columns that the writer fills.


@dataclass(frozen=True, kw_only=True, eq=False)
class Frames:
    """A stored set of frames."""

    name: str
    """Name of the set."""
    pixels: NDArray[np.uint8]
    """Pixels of all frames (n, height * width * channels)."""
    clips: list[Row]
    """One row of the index per clip."""
    told: Mapping[str, Any]
    """Metadata of the set."""

    def of(self, clip: Row) -> NDArray[np.uint8]:
        """Return the frames of a clip (t, height * width * channels) after verifying their hash.

        Raises:
            ValueError: The frames were altered.
        """
        first, count = clip["first"], clip["frames"]
        pixels = np.array(self.pixels[first : first + count])
        if short_hash(pixels.data.cast("B")) != clip["frames_hash"]:
            raise ValueError(
                f"the set {self.name} is damaged (the frames of clip {clip['clip_id']} were"
                " altered); `rankbench data` rebuilds it"
            )
        return pixels

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of a frame."""
        height, width, channels = (self.told.get(name, 0) for name in SHAPE)
        return height, width, channels


def extract(
    name: str,
    extractor: str,
    *,
    target: str | None = None,
    weights: Path | None = None,
    batch: int = 16,
    device: str = "auto",
    watch: StorageProgress | None = None,
) -> Path:
    """Compute the features of every frame of a set, and store them as a new set in float16.

    The new set has the clips and columns of the old one. An interrupted call is continued after the
    last complete clip; a set that exists already is not computed again.

    Args:
        name: Name of a set of frames.
        extractor: A key of EXTRACTORS.
        target: Name of the new set; None means NAME-EXTRACTOR.
        weights: A weights file; None uses the installed one.
        batch: Frames of a clip that are computed at once.
        device: auto, cpu or cuda.
        watch: Receives the number of frames done.

    Returns:
        The folder of the new set.

    Raises:
        ValueError: The set, extractor, weights, batch or device cannot be used.
        OSError: The cache cannot be written.
    """
    one_of("--extractor", extractor, EXTRACTORS)
    chosen, frames = EXTRACTORS[extractor], open_frames(name)
    settings = {
        "extractor": extractor,
        "frames_data_hash": frames.told["data_hash"],
        "weights_hash": weights_hash(chosen.weights(weights)),
    }
    spec = SetSpec(
        name=target or f"{name}-{extractor}",
        kind="features",
        features=chosen.features,
        dtype=DTYPE,
        settings=settings,
    )
    rows = [_carried(clip) for clip in frames.clips]
    if _is_there(spec, rows):
        return set_folder(spec.name)
    net = Net(extractor=chosen, net=chosen.load(weights), device=device, batch=batch)
    with SetWriter(spec) as writer:
        writer.keep(_same(writer.entries, rows))
        _write(writer, frames, rows, net, watch or unwatched)
        return writer.finish()


def open_frames(name: str) -> Frames:
    """Open a set of frames.

    Raises:
        ValueError: The set does not exist, is damaged, or does not contain frames.
    """
    array, index = open_set(name)
    of_set = metadata(index)
    if of_set["kind"] != "frames":
        raise ValueError(f"{name} must be a set of frames, it is a set of {of_set['kind']}")
    frames = Frames(name=name, pixels=array, clips=index.to_pylist(), told=of_set)
    height, width, channels = frames.shape
    if height * width * channels != array.shape[1] or channels not in (1, 3):
        raise ValueError(
            f"the frames of set {name} must have {height}x{width}x{channels} values, as its"
            f" metadata says; they have {array.shape[1]}"
        )
    return frames


def _write(
    writer: SetWriter, frames: Frames, rows: list[Row], net: Net, watch: StorageProgress
) -> None:
    total, done = len(frames.pixels), sum(row["frames"] for row in writer.rows)
    watch(done, total)
    written = len(writer.entries)
    for clip, row in zip(frames.clips[written:], rows[written:], strict=True):
        features = net.features(frames.of(clip), frames.shape)
        if not np.isfinite(features).all():
            raise ValueError(
                f"the features of clip {row['clip_id']} are not finite in {DTYPE};"
                " check that the weights belong to a trained network"
            )
        writer.append(row, features)
        done += len(features)
        watch(done, total)


def _carried(clip: Row) -> Row:
    return {name: value for name, value in clip.items() if name not in PLACED}


def _same(entries: list[Row], rows: list[Row]) -> int:
    """Count the entries, from the first one, that belong to these rows."""
    for index, (entry, row) in enumerate(zip(entries, rows, strict=False)):
        if _carried(entry) != row:
            return index
    return len(rows)


def _is_there(spec: SetSpec, rows: list[Row]) -> bool:
    """Return whether the set exists with these rows and is intact.

    Raises:
        ValueError: A set of another kind has the name.
    """
    if spec.name not in names():
        return False
    try:
        array, index = open_set(spec.name)
    except ValueError:  # A damaged set is written again.
        return False
    of_set = metadata(index)
    if of_set["kind"] != spec.kind:
        raise ValueError(f"the set {spec.name} contains {of_set['kind']}; choose another name")
    same = of_set["data_hash"] == spec.data_hash(rows)
    carried = [_carried(row) for row in index.to_pylist()]
    return same and carried == rows and not altered(array, index)

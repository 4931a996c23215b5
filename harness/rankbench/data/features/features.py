"""Features of the frames of a stored set, by a CNN, as a stored set of their own.

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
SHAPE = ("height", "width", "channels")  # settings of a set of frames
PLACED = ("first", "frames", "frames_hash")  # columns that the writer fills


@dataclass(frozen=True, kw_only=True, eq=False)
class Frames:
    """A stored set of frames: `pixels` uint8 (n, height * width * channels), a row a clip."""

    name: str
    pixels: NDArray[np.uint8]
    clips: list[Row]
    told: Mapping[str, Any]

    def of(self, clip: Row) -> NDArray[np.uint8]:
        """The frames (t, height * width * channels) of a clip; ValueError if they were altered."""
        first, count = clip["first"], clip["frames"]
        pixels = np.array(self.pixels[first : first + count])
        if short_hash(pixels.data.cast("B")) != clip["frames_hash"]:
            raise ValueError(
                f"the set {self.name} is damaged (the frames of clip {clip['clip_id']} were"
                " altered); `rankbench data` builds it again"
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
    """Write the features of every frame of the set `name`; the folder of the new set.

    The new set is `target`, by default NAME-EXTRACTOR: float16, the clips and columns of `name`.
    What an earlier call wrote of the same is kept, clip by clip. `weights`: a file in place of
    those that come with the extractor; `batch`: frames at once, of one clip.

    Raises ValueError for a set, an extractor, weights, batch or device that cannot be used, and
    OSError when the cache cannot be written.
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
    """The set `name` and the shape of its frames; ValueError for one of no frames."""
    array, index = open_set(name)
    told = metadata(index)
    if told["kind"] != "frames":
        raise ValueError(f"{name} must be a set of frames, it is one of {told['kind']}")
    frames = Frames(name=name, pixels=array, clips=index.to_pylist(), told=told)
    height, width, channels = frames.shape
    if height * width * channels != array.shape[1] or channels not in (1, 3):
        raise ValueError(
            f"the set {name} says that its frames are {height}x{width}x{channels},"
            f" and they have {array.shape[1]} values"
        )
    return frames


def _write(
    writer: SetWriter, frames: Frames, rows: list[Row], net: Net, watch: StorageProgress
) -> None:
    total, done = len(frames.pixels), sum(row["frames"] for row in writer.rows)
    watch(done, total)
    there = len(writer.entries)
    for clip, row in zip(frames.clips[there:], rows[there:], strict=True):
        made = net.features(frames.of(clip), frames.shape)
        if not np.isfinite(made).all():
            raise ValueError(
                f"the features of clip {row['clip_id']} are not finite in {DTYPE};"
                " are the weights those of a trained net?"
            )
        writer.append(row, made)
        done += len(made)
        watch(done, total)


def _carried(clip: Row) -> Row:
    return {name: value for name, value in clip.items() if name not in PLACED}


def _same(entries: list[Row], rows: list[Row]) -> int:
    """How many entries, from the first, are of these rows."""
    pairs = zip(entries, rows, strict=False)
    return next((at for at, (one, row) in enumerate(pairs) if _carried(one) != row), len(rows))


def _is_there(spec: SetSpec, rows: list[Row]) -> bool:
    """Whether the set is published already, of these rows and whole.

    Raises ValueError if what has its name holds frames.
    """
    if spec.name not in names():
        return False
    try:
        array, index = open_set(spec.name)
    except ValueError:  # damaged: it is written anew
        return False
    told = metadata(index)
    if told["kind"] != spec.kind:
        raise ValueError(f"the set {spec.name} holds {told['kind']}; choose another name")
    same = told["data_hash"] == spec.data_hash(rows)
    carried = [_carried(row) for row in index.to_pylist()]
    return same and carried == rows and not altered(array, index)

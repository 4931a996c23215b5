"""Store a data set, as it is distributed, as a set of frames."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from rankbench.data.sets import catalog as sets
from rankbench.data.sets.set_file import SetSpec
from rankbench.data.sets.set_writer import SetWriter
from rankbench.data.sets.sources import ORIGINS
from rankbench.data.video.archives import ARCHIVES, is_archive, roots_of
from rankbench.data.video.decoders import Decoded, Job, decode_in_order
from rankbench.data.video.discover import DiscoveredClip, clips_in
from rankbench.data.video.framing import Framing
from rankbench.data.video.hmdb51 import read_splits, sides
from rankbench.data.video.layout import LAYOUTS
from rankbench.data.video.parquet_clips import clips_of_parquet
from rankbench.data.where import Where
from rankbench.measure.machine import cpu_cores

CLIP_LIMIT_S = 600.0  # Seconds after which the decoder of a clip counts as hanging.


@dataclass(frozen=True, kw_only=True)
class Source:
    """The data that the user gives.

    Raises:
        ValueError: A path does not exist or is of the wrong kind.
    """

    layout: str
    """How class and group follow from a path; a key of LAYOUTS."""
    path: Path
    """A folder, an archive, or a Parquet file of JPEG frames."""
    splits: Path | None = None
    """Folder or archive of HMDB51's official splits, if they are not in `path`."""
    where: Where = ()
    """Pairs of a column and the value that a row of a Parquet file must have."""

    def __post_init__(self) -> None:
        for path in (self.path, self.splits):
            if path is not None and not path.exists():
                where = f"; {ORIGINS[self.layout]}" if self.layout in ORIGINS else ""
                raise ValueError(f"{path} does not exist{where}")
        if self.splits is not None and self.layout != "hmdb51":
            raise ValueError(f"--splits is for hmdb51, not for {self.layout}")
        if self.splits is not None and self.is_parquet:
            raise ValueError(
                f"--splits cannot be combined with a Parquet file, whose columns define the splits;"
                f" got {self.path}"
            )
        if self.splits is not None and self.splits.is_file() and not is_archive(self.splits):
            raise ValueError(
                f"--splits must be a folder or a file of {', '.join(ARCHIVES)}, got {self.splits}"
            )
        if self.path.is_file() and not (self.is_parquet or is_archive(self.path)):
            kinds = ", ".join((".parquet", *ARCHIVES))
            raise ValueError(f"{self.path} must be a folder or a file with suffix {kinds}")

    @property
    def is_parquet(self) -> bool:
        """Whether the path is a Parquet file."""
        return self.path.is_file() and self.path.suffix.lower() == ".parquet"


class IngestProgress(Protocol):
    """Receives progress events while a set is stored."""

    def unpacking(self, archive: Path) -> None:
        """Called before an archive is unpacked."""

    def begin(self, clips: int, stored: int) -> None:
        """Called once, with the number of all clips and of those stored or skipped before."""

    def clip(self, clip_id: str, frames: int, problem: str) -> None:
        """Called after a clip was stored with `frames` frames, or skipped because of a problem."""


@dataclass(frozen=True, kw_only=True)
class Ingested:
    """A stored set."""

    folder: Path
    """Folder of the set."""
    index: pa.Table
    """One row per clip."""
    skipped: Sequence[dict[str, str]] = field(default_factory=list)
    """Clips that were left out, with clip_id and reason."""


def ingest(
    name: str,
    source: Source,
    framing: Framing,
    watch: IngestProgress,
    *,
    workers: int | None = None,
    time_limit_s: float = CLIP_LIMIT_S,
) -> Ingested:
    """Store the clips of a source as a set.

    An interrupted call is continued after the last stored clip. A set that exists with the same
    settings and clips is not stored again. A clip that cannot be decoded is skipped.

    Args:
        name: Name of the set.
        source: The data.
        framing: Size of a picture, and which frames are stored.
        watch: Receives progress events.
        workers: Number of decoding processes; None uses one per core.
        time_limit_s: Limit in seconds for decoding a clip.

    Raises:
        ValueError: The source cannot be used.
        OSError: The set cannot be written. The next call continues with what is stored.
    """
    spec = SetSpec(name=name, kind="frames", features=framing.features, settings=framing.settings())
    with SetWriter(spec) as writer:
        clips = _clips(source, writer.scratch, watch)
        if not writer.entries and _is_stored(spec, clips):
            watch.begin(len(clips), len(clips))
            writer.discard()
        else:
            writer.keep(_still_there(writer, clips))
            watch.begin(len(clips), len(writer.entries))
            rest = clips[len(writer.entries) :]
            _store(writer, rest, framing, watch, workers or cpu_cores() or 1, time_limit_s)
            writer.finish()
    _, index = sets.open_set(name)
    return Ingested(folder=sets.set_folder(name), index=index, skipped=sets.skipped(index))


def _clips(source: Source, scratch: Path, watch: IngestProgress) -> list[DiscoveredClip]:
    if source.is_parquet:
        return clips_of_parquet(source.path, scratch, source.where)
    if source.where:
        raise ValueError(f"--where is for a Parquet file, which {source.path} is not")
    roots = roots_of(source.path, scratch / "unpacked", watch.unpacking)
    try:
        clips = clips_in(roots, LAYOUTS[source.layout])
    except ValueError as error:
        raise ValueError(f"{source.path}: {error}") from error
    if source.layout != "hmdb51":
        return clips
    if source.splits is not None:
        roots = roots_of(source.splits, scratch / "splits", watch.unpacking)
    splits = read_splits(roots)
    if not splits:
        return clips
    return [replace(clip, extras=sides(splits, clip.cls, clip.name)) for clip in clips]


def _is_stored(spec: SetSpec, clips: Sequence[DiscoveredClip]) -> bool:
    """Return whether the set exists with these settings and clips, and is intact."""
    if spec.name not in sets.names():
        return False
    try:
        array, index = sets.open_set(spec.name)
    except ValueError:
        return False
    if sets.metadata(index) != spec.metadata(index.to_pylist()):
        return False
    stored = {row["clip_id"]: row for row in (*sets.skipped(index), *index.to_pylist())}
    same = stored.keys() == {clip.clip_id for clip in clips} and all(
        _is_of(stored[clip.clip_id], clip) for clip in clips
    )
    return same and not sets.altered(array, index)  # Slow, because it reads the whole array.


def _is_of(entry: Mapping[str, Any], clip: DiscoveredClip) -> bool:
    """Return whether a stored or skipped entry belongs to this clip, which may have changed."""
    row = clip.row(_digest(clip))
    names = ("clip_id", "source_hash") if "reason" in entry else row
    return all(entry.get(name) == row[name] for name in names)


def _still_there(writer: SetWriter, clips: Sequence[DiscoveredClip]) -> int:
    """Count the entries, from the first one, that belong to the present clips."""
    pairs = enumerate(zip(writer.entries, clips, strict=False))
    changed = (index for index, (entry, clip) in pairs if not _is_of(entry, clip))
    return next(changed, min(len(writer.entries), len(clips)))


def _store(
    writer: SetWriter,
    clips: Sequence[DiscoveredClip],
    framing: Framing,
    watch: IngestProgress,
    workers: int,
    time_limit_s: float,
) -> None:
    targets = [writer.scratch / str(number) for number in range(len(clips))]
    jobs = [
        Job(media=clip.media, target=target) for clip, target in zip(clips, targets, strict=True)
    ]
    results = decode_in_order(jobs, framing, workers=workers, time_limit_s=time_limit_s)
    for clip, job, decoded in zip(clips, jobs, results, strict=True):
        _note(writer, clip, job, decoded)
        job.target.unlink(missing_ok=True)
        watch.clip(clip.clip_id, decoded.frames, decoded.problem)


def _note(writer: SetWriter, clip: DiscoveredClip, job: Job, decoded: Decoded) -> None:
    if decoded.full:
        free = shutil.disk_usage(writer.folder).free / 1e9
        raise OSError(
            f"cannot write the set {writer.spec.name} in {writer.folder}: {decoded.problem},"
            f" {free:.1f} GB are free. The clips stored so far are kept. Free some space, set"
            " RANKBENCH_CACHE to another folder, or store fewer frames with --every or --frames"
        )
    row = clip.row(_digest(clip))
    if decoded.problem:
        writer.skip(row, decoded.problem)
        return
    shape = (decoded.frames, writer.spec.features)
    frames = np.memmap(job.target, np.uint8, "r", shape=shape)
    writer.append({"clip_len": decoded.clip_len, **row}, frames)


def _digest(clip: DiscoveredClip) -> str:
    """Hash the bytes of the source; empty if it cannot be read, which decoding will report."""
    try:
        return clip.media.digest()
    except OSError:
        return ""

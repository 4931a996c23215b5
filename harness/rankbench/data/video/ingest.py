"""A data set as it is distributed becomes a stored set of frames."""

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

CLIP_LIMIT_S = 600.0  # a clip that decodes for longer hangs


@dataclass(frozen=True, kw_only=True)
class Source:
    """What the user gave.

    `layout`: a name in LAYOUTS; `path`: a folder, an archive or a Parquet file of JPEG frames;
    `splits`: where HMDB51's official splits lie, if not in `path`; `where`: (column, value) pairs
    that a row of a Parquet file must match.
    """

    layout: str
    path: Path
    splits: Path | None = None
    where: Where = ()

    def __post_init__(self) -> None:
        for path in (self.path, self.splits):
            if path is not None and not path.exists():
                where = f"; {ORIGINS[self.layout]}" if self.layout in ORIGINS else ""
                raise ValueError(f"{path} does not exist{where}")
        if self.splits is not None and self.layout != "hmdb51":
            raise ValueError(f"--splits is for hmdb51, not for {self.layout}")
        if self.splits is not None and self.is_parquet:
            raise ValueError(
                f"--splits is not for a Parquet file as {self.path}: its columns count"
            )
        if self.splits is not None and self.splits.is_file() and not is_archive(self.splits):
            raise ValueError(
                f"--splits must be a folder or a file of {', '.join(ARCHIVES)}, got {self.splits}"
            )
        if self.path.is_file() and not (self.is_parquet or is_archive(self.path)):
            kinds = ", ".join((".parquet", *ARCHIVES))
            raise ValueError(f"{self.path} must be a folder or a file of {kinds}")

    @property
    def is_parquet(self) -> bool:
        """Whether it is a Parquet file."""
        return self.path.is_file() and self.path.suffix.lower() == ".parquet"


class IngestProgress(Protocol):
    """Is told how far it is."""

    def unpacking(self, archive: Path) -> None:
        """An archive is being unpacked."""

    def begin(self, clips: int, stored: int) -> None:
        """`stored` of `clips` were stored, or skipped, before."""

    def clip(self, clip_id: str, frames: int, problem: str) -> None:
        """A clip was stored with so many frames, or skipped for a problem."""


@dataclass(frozen=True, kw_only=True)
class Ingested:
    """The set as it stands: its folder, its index, the clips left out (clip_id, reason)."""

    folder: Path
    index: pa.Table
    skipped: Sequence[dict[str, str]] = field(default_factory=list)


def ingest(
    name: str,
    source: Source,
    framing: Framing,
    watch: IngestProgress,
    *,
    workers: int | None = None,
    time_limit_s: float = CLIP_LIMIT_S,
) -> Ingested:
    """Store the clips of `source` as the set `name`; what an earlier call stored is kept.

    A clip that cannot be decoded, or takes longer than `time_limit_s`, is skipped. A set that is
    there whole, of the same sources, is left as it is.

    Raises ValueError for a source that cannot be used, and OSError when the set cannot be written;
    what is stored by then waits for the next call.
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
    """Whether the set is there, undamaged, of these settings and clips."""
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
    return same and not sets.altered(array, index)  # the array is read last: it may be large


def _is_of(entry: Mapping[str, Any], clip: DiscoveredClip) -> bool:
    """Whether a stored row, or one of a skipped clip, is of this clip as it is now."""
    told = clip.row(_digest(clip))
    names = ("clip_id", "source_hash") if "reason" in entry else told
    return all(entry.get(name) == told[name] for name in names)


def _still_there(writer: SetWriter, clips: Sequence[DiscoveredClip]) -> int:
    """How many entries, from the first, are of the clips that are there now."""
    pairs = enumerate(zip(writer.entries, clips, strict=False))
    changed = (at for at, (entry, clip) in pairs if not _is_of(entry, clip))
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
            f" {free:.1f} GB are free; what is stored is kept. Free some, set RANKBENCH_CACHE to"
            " another folder, or store fewer frames with --every or --frames"
        )
    row = clip.row(_digest(clip))
    if decoded.problem:
        writer.skip(row, decoded.problem)
        return
    shape = (decoded.frames, writer.spec.features)
    frames = np.memmap(job.target, np.uint8, "r", shape=shape)
    writer.append({"clip_len": decoded.clip_len, **row}, frames)


def _digest(clip: DiscoveredClip) -> str:
    """Of the source's bytes; nothing for one that cannot be read, which decoding will tell."""
    try:
        return clip.media.digest()
    except OSError:
        return ""

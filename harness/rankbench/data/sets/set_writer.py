"""Write a stored set clip by clip, so that an interrupted process can be resumed."""

from __future__ import annotations

import fcntl
import io
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankbench.common.files import make_folder, publish
from rankbench.data.sets.set_file import (
    ARRAY,
    INDEX,
    META,
    Row,
    SetSpec,
    index_table,
    read_index,
    set_folder,
    short_hash,
)
from rankbench.store.parquet_file import stage

HEADER = 128  # Bytes of a .npy header; NumPy leaves room in it for any number of rows.


class SetWriter:
    """Writes a set, continuing what an earlier process has written for the same spec.

    The writer appends frames to an array, and then lists the complete clips in a journal beside it.
    Append clips in the order of their clip_id, then call `finish`.

    Args:
        spec: What the set contains.

    Attributes:
        entries: The journal's entries in order: the row of each clip, or of a skipped clip (with
            `reason` instead of `first`).
        scratch: A folder for temporary files, deleted by `close`.

    Raises:
        ValueError: A set of another kind has the same name.
        OSError: The cache cannot be written, or another process is writing the same set.

    Example:
        >>> def write(frames):  # doctest: +SKIP
        ...     with SetWriter(SetSpec(name="mine", kind="features", features=8)) as writer:
        ...         writer.append({"clip_id": "a", "label": 0}, frames)
        ...         writer.finish()
    """

    def __init__(self, spec: SetSpec) -> None:
        self.spec, self.folder = spec, set_folder(spec.name)
        self.scratch = self.folder / "scratch"
        self.entries: list[Row] = []
        self._count = 0  # Frames written so far.
        self._array_path = self.folder / f"{ARRAY}.part"
        self._journal_path = self.folder / "journal.jsonl"
        self._check_kind()
        with self._writing():
            make_folder(self.folder)
            self._lock = (self.folder / "lock").open("w")
        try:
            with self._writing():
                self._take_lock()
                self._clear_scratch()
                self.scratch.mkdir()
                self._resume()
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> SetWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def rows(self) -> list[Row]:
        """Rows of the clips written so far."""
        return [entry for entry in self.entries if "reason" not in entry]

    @property
    def skipped(self) -> list[Row]:
        """Clips skipped so far: clip_id, source, source_hash, reason."""
        return [entry for entry in self.entries if "reason" in entry]

    def keep(self, count: int) -> None:
        """Keep the first `count` entries and their frames, and drop all others."""
        if count >= len(self.entries):
            return
        first_entries = self.entries[:count]
        with self._writing():
            self._journal.close()
            self._start_journal(first_entries)
            self._cut_array()

    def append(self, row: Mapping[str, Any], frames: NDArray[Any]) -> None:
        """Write a clip. It is on disk when this method returns.

        Args:
            row: Row of the index, without first, frames and frames_hash.
            frames: Frames of the clip (t, f).

        Raises:
            ValueError: The clip is out of order, or frames have another shape or dtype.
            OSError: The clip cannot be written.
        """
        self.append_all([(row, frames)])

    def append_all(self, clips: Sequence[tuple[Mapping[str, Any], NDArray[Any]]]) -> None:
        """Write several clips as `append` does; the journal then lists all of them or none."""
        last = self.entries[-1]["clip_id"] if self.entries else ""
        for row, frames in clips:
            self._check(row["clip_id"], frames, last)
            last = row["clip_id"]
        entries, count = [], self._count
        with self._writing():
            for row, frames in clips:
                data = np.ascontiguousarray(frames).data.cast("B")
                position = {"first": count, "frames": len(frames), "frames_hash": short_hash(data)}
                entries.append({**row, **position})
                self._array.write(data)
                count += len(frames)
            self._array.flush()
            os.fdatasync(
                self._array.fileno()
            )  # The journal must not list frames that can get lost.
            self._note(*entries)
        self._count = count

    def skip(self, row: Mapping[str, Any], reason: str) -> None:
        """Record that a clip is not in the set, and why."""
        known = {name: row[name] for name in ("clip_id", "source", "source_hash")}
        with self._writing():
            self._note({**known, "reason": reason})

    def finish(self) -> Path:
        """Publish the set, replacing one with the same name.

        Returns:
            The folder of the set.

        Raises:
            ValueError: No clip was written.
        """
        if not self.rows:
            raise ValueError(f"the set {self.spec.name} must have at least one clip, got none")
        rows = self.rows
        table = index_table(rows, self.spec.metadata(rows), self.skipped)
        with self._writing():
            self._array.seek(0)
            self._array.write(self._header(self._count))
            self._array.flush()
            os.fsync(self._array.fileno())
            staged = stage(self.scratch / INDEX, table, compression="zstd")
            # Readers ignore an array without an index. The old index is therefore deleted first,
            # and the new one is written last.
            (self.folder / INDEX).unlink(missing_ok=True)
            publish(self._array_path, self.folder / ARRAY)
            publish(staged, self.folder / INDEX)
            self._journal_path.unlink()
        return self.folder

    def discard(self) -> None:
        """Delete everything that is written but not published."""
        with self._writing():
            self._journal_path.unlink(missing_ok=True)
            self._array_path.unlink(missing_ok=True)

    def close(self) -> None:
        """Release the set. The next writer continues what is written but not published."""
        self._array.close()
        self._journal.close()
        self._clear_scratch()
        self._lock.close()

    def _check_kind(self) -> None:
        """Raise ValueError if a set of another kind has the name, which would be overwritten."""
        try:
            kind = json.loads(read_index(self.folder).schema.metadata[META])["kind"]
        except (OSError, ValueError, KeyError):  # There is no set, or it is damaged.
            return
        if kind != self.spec.kind:
            raise ValueError(f"the set {self.spec.name} contains {kind}; choose another name")

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OSError(error.errno, "another process is writing it") from None

    def _clear_scratch(self) -> None:
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _resume(self) -> None:
        """Continue after the last complete clip of the same spec, or start from the beginning."""
        array, journal = self._array_path, self._journal_path
        if journal.exists() and not array.exists() and not (self.folder / INDEX).exists():
            published = self.folder / ARRAY  # `finish` was killed before it published the index.
            if published.exists():
                published.replace(array)
        size = array.stat().st_size if array.exists() else 0
        self._start_journal(list(self._whole_entries(size)))
        self._array = array.open("r+b" if size >= HEADER else "w+b")
        self._cut_array()

    def _whole_entries(self, size: int) -> Iterator[Row]:
        lines = list(_lines(self._journal_path))
        if size < HEADER or not lines or lines[0] != self.spec.plain():
            return
        for entry in lines[1:]:
            end = 0 if "reason" in entry else entry["first"] + entry["frames"]
            if HEADER + end * self._row_bytes > size:
                return
            yield entry

    def _start_journal(self, entries: list[Row]) -> None:
        """Replace the journal by one that contains these entries."""
        new = self.scratch / self._journal_path.name
        lines = [self.spec.plain(), *entries]
        new.write_text("".join(json.dumps(line) + "\n" for line in lines))
        new.replace(self._journal_path)
        self._journal = self._journal_path.open("a")
        self.entries = entries

    def _note(self, *entries: Row) -> None:
        self._journal.writelines(json.dumps(entry) + "\n" for entry in entries)
        self._journal.flush()
        os.fsync(self._journal.fileno())
        self.entries += entries

    def _cut_array(self) -> None:
        """Truncate the array after the last complete clip."""
        self._count = sum(row["frames"] for row in self.rows)
        end = HEADER + self._count * self._row_bytes
        self._array.seek(0)
        self._array.write(self._header(0))
        self._array.flush()
        self._array.truncate(end)
        self._array.seek(end)

    @property
    def _row_bytes(self) -> int:
        return self.spec.features * np.dtype(self.spec.dtype).itemsize

    def _header(self, rows: int) -> bytes:
        header = io.BytesIO()
        descr = np.lib.format.dtype_to_descr(np.dtype(self.spec.dtype))
        shape = (rows, self.spec.features)
        np.lib.format.write_array_header_1_0(
            header, {"descr": descr, "fortran_order": False, "shape": shape}
        )
        size = len(header.getvalue())
        if size != HEADER:
            raise ValueError(f"numpy's header must have {HEADER} bytes, it has {size}")
        return header.getvalue()

    def _check(self, clip_id: str, frames: NDArray[Any], last: str) -> None:
        """Check a clip that follows the clip `last`, which is empty for the first one."""
        if clip_id <= last:
            raise ValueError(
                f"clips of a set must be in the order of clip_id, got {clip_id!r} after {last!r}"
            )
        spec = self.spec
        if frames.ndim != 2 or frames.shape[1] != spec.features or not len(frames):
            raise ValueError(
                f"frames of clip {clip_id} must be (t, {spec.features}), got {frames.shape}"
            )
        if frames.dtype != np.dtype(spec.dtype):
            raise ValueError(f"frames of clip {clip_id} must be {spec.dtype}, got {frames.dtype}")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OSError(
                f"cannot write the set {self.spec.name} in {self.folder}: {_why(error)};"
                " set RANKBENCH_CACHE to use another folder"
            ) from error


def _why(error: OSError) -> str:
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    return cause.strerror or str(cause)


def _lines(path: Path) -> Iterator[Row]:
    """Read the lines of the journal up to one that is incomplete."""
    if not path.exists():
        return
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            entry = json.loads(line)
        except ValueError:
            return
        if not line.endswith(b"\n") or not isinstance(entry, dict):
            return
        yield entry

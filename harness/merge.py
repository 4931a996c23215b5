"""The files of one table's folder, read as one: which there are, which can be read, which wins."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from harness.fragments import read_file

_COMPACT = re.compile(r"compact-(\d+)\.parquet")
_UNREADABLE = (pa.ArrowException, OSError, ValueError)


class DamagedFileWarning(UserWarning):
    """A results file could not be read, and was skipped."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The result files of a folder: compact files from the oldest, fragments by name."""

    compacts: tuple[Path, ...]
    fragments: tuple[Path, ...]

    @classmethod
    def of(cls, folder: Path) -> Listing:
        """What is in `folder` now; hidden files, being written or left by a crash, are not."""
        paths = set(folder.glob("[!.]*.parquet"))
        compacts = {path for path in paths if _COMPACT.fullmatch(path.name)}
        return cls(
            compacts=tuple(sorted(compacts, key=_number)),
            fragments=tuple(sorted(paths - compacts, key=lambda path: path.stem)),
        )

    @property
    def newest(self) -> int:
        """Number of the newest compact file, 0 without one."""
        return _number(self.compacts[-1]) if self.compacts else 0


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The rows of each readable file; `whole` unless a compact file could not be read."""

    compacts: dict[Path, pa.Table]
    fragments: dict[Path, pa.Table]
    whole: bool


def read_folder(folder: Path, schema: pa.Schema) -> Parts:
    """Read every file of `folder`, in the columns of `schema`, as of one moment.

    Takes no lock: a compaction publishes before it deletes, so as long as the compact files are
    the same before and after, and no file vanished in between, no row was missed.
    Warns of each damaged file.
    """
    while True:
        listing = Listing.of(folder)
        read = {path: _try(path, schema) for path in (*listing.fragments, *listing.compacts)}
        now = Listing.of(folder)
        vanished = {path for path, rows in read.items() if isinstance(rows, FileNotFoundError)}
        if now.compacts == listing.compacts and vanished <= set(now.fragments):
            break
    for path, rows in read.items():
        if isinstance(rows, Exception):
            why = str(rows).partition("\n")[0]
            warnings.warn(f"{path} is skipped: {why}", DamagedFileWarning, stacklevel=3)
    good = {path: rows for path, rows in read.items() if isinstance(rows, pa.Table)}
    return Parts(
        compacts={path: good[path] for path in listing.compacts if path in good},
        fragments={path: good[path] for path in listing.fragments if path in good},
        whole=all(path in good for path in listing.compacts),
    )


def merge(parts: Parts, schema: pa.Schema) -> pa.Table:
    """The rows that count, in the order of their run_id, each run's in the order written."""
    kept = list(parts.fragments.values())
    known = pa.array([path.stem for path in parts.fragments], pa.string())
    for rows in reversed(parts.compacts.values()):
        fresh = rows.filter(pc.invert(pc.is_in(rows["run_id"], known)))
        kept.append(fresh)
        known = pa.concat_arrays([known, pc.unique(fresh["run_id"])])
    merged = pa.concat_tables([schema.empty_table(), *kept]).combine_chunks()
    return merged.sort_by("run_id") if parts.compacts else merged


def _try(path: Path, schema: pa.Schema) -> pa.Table | Exception:
    try:
        rows = read_file(path, schema)
        if not _COMPACT.fullmatch(path.name):
            _check_owner(path, rows)
    except _UNREADABLE as error:
        return error
    return rows


def _check_owner(path: Path, rows: pa.Table) -> None:
    # A copy under another name would count a run twice.
    for run_id in pc.unique(rows["run_id"]).to_pylist():
        if run_id != path.stem:
            raise ValueError(f"it holds rows of run {run_id}")


def _number(path: Path) -> int:
    return int(path.stem.removeprefix("compact-"))

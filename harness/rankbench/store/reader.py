"""The files of one table's folder, read as one: which there are, which can be read, which wins."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from rankbench.store.parquet_file import read_file
from rankbench.store.schema import arrow_schema

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
        read = _read_all(listing, schema)
        now = Listing.of(folder)
        vanished = {path for path, rows in read.items() if isinstance(rows, FileNotFoundError)}
        if now.compacts == listing.compacts and vanished <= set(now.fragments):
            return _parts(listing, read)


def read_listing(listing: Listing, schema: pa.Schema) -> Parts:
    """Read the files of `listing`, which nobody changes meanwhile; warns of damaged ones."""
    return _parts(listing, _read_all(listing, schema))


def warn_damaged(path: Path | str, error: Exception) -> None:
    """Say in one line that a file is left out."""
    why = str(error).partition("\n")[0]
    warnings.warn(f"{path} is skipped: {why}", DamagedFileWarning, stacklevel=2)


def _read_all(listing: Listing, schema: pa.Schema) -> dict[Path, pa.Table | Exception]:
    return {path: _try(path, schema) for path in (*listing.fragments, *listing.compacts)}


def _parts(listing: Listing, read: dict[Path, pa.Table | Exception]) -> Parts:
    for path, rows in read.items():
        if isinstance(rows, Exception):
            warn_damaged(path, rows)
    good = {path: rows for path, rows in read.items() if isinstance(rows, pa.Table)}
    return Parts(
        compacts={path: good[path] for path in listing.compacts if path in good},
        fragments={path: good[path] for path in listing.fragments if path in good},
        whole=all(path in good for path in listing.compacts),
    )


def merge(parts: Parts, schema: pa.Schema) -> pa.Table:
    """The rows that count, in the order of their run_id, each run's in the order written."""
    if not parts.fragments and len(parts.compacts) == 1:
        return _in_order(*parts.compacts.values())
    kept = list(parts.fragments.values())
    known = pa.array([path.stem for path in parts.fragments], pa.string())
    for rows in reversed(parts.compacts.values()):
        fresh = rows.filter(pc.invert(pc.is_in(rows["run_id"], known)))
        kept.append(fresh)
        known = pa.concat_arrays([known, pc.unique(fresh["run_id"])])
    merged = pa.concat_tables([schema.empty_table(), *kept]).combine_chunks()
    return merged.sort_by("run_id") if parts.compacts else merged


def disjoint(listing: Listing) -> bool:
    """Whether no run is in two files; false where one is damaged, and so may hide any."""
    if len(listing.compacts) + len(listing.fragments) < 2 or not listing.compacts:
        return True
    known = pa.array([path.stem for path in listing.fragments], pa.string())
    for path in reversed(listing.compacts):
        rows = _try(path, pa.schema([("run_id", pa.string())]))
        if isinstance(rows, Exception) or pc.any(pc.is_in(rows["run_id"], known)).as_py():
            return False
        known = pa.concat_arrays([known, pc.unique(rows["run_id"])])
    return True


def _in_order(rows: pa.Table) -> pa.Table:
    """`rows` in the order of their run_id, as a compact file has them already."""
    ids = rows["run_id"].combine_chunks()
    sorted_already = len(ids) < 2 or pc.all(pc.less_equal(ids[:-1], ids[1:])).as_py()
    return rows if sorted_already else rows.sort_by("run_id")


def _try(path: Path, schema: pa.Schema) -> pa.Table | Exception:
    try:
        if _COMPACT.fullmatch(path.name):
            return read_file(path, schema)
        # All columns: what is damaged must count for every reader or for none.
        rows = read_file(path, arrow_schema(schema.metadata[b"table"].decode()))
        _check_owner(path, rows)
    except _UNREADABLE as error:
        return error
    return rows.select(schema.names)


def _check_owner(path: Path, rows: pa.Table) -> None:
    # A copy under another name would count a run twice.
    for run_id in pc.unique(rows["run_id"]).to_pylist():
        if run_id != path.stem:
            raise ValueError(f"it holds rows of run {run_id}")


def _number(path: Path) -> int:
    return int(path.stem.removeprefix("compact-"))

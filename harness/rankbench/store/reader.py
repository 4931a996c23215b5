"""Read the files of a table's folder as one table: list them, read them, and merge their rows."""

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
    """Warning that a results file could not be read and was skipped."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The result files of a table's folder."""

    compacts: tuple[Path, ...]
    """Compact files, the oldest first."""
    fragments: tuple[Path, ...]
    """Fragments, sorted by name."""

    @classmethod
    def of(cls, folder: Path) -> Listing:
        """List `folder`, without hidden files, which are being written or are left from a crash."""
        paths = set(folder.glob("[!.]*.parquet"))
        compacts = {path for path in paths if _COMPACT.fullmatch(path.name)}
        return cls(
            compacts=tuple(sorted(compacts, key=_number)),
            fragments=tuple(sorted(paths - compacts, key=lambda path: path.stem)),
        )

    @property
    def newest(self) -> int:
        """Number of the newest compact file, or 0 if there is none."""
        return _number(self.compacts[-1]) if self.compacts else 0


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The rows of each file that could be read."""

    compacts: dict[Path, pa.Table]
    """Rows of the compact files, the oldest first."""
    fragments: dict[Path, pa.Table]
    """Rows of the fragments, sorted by name."""
    whole: bool
    """Whether all compact files could be read."""


def read_folder(folder: Path, schema: pa.Schema) -> Parts:
    """Read every file of `folder` in the columns of `schema`, as of one moment.

    No lock is needed. A compaction publishes the merged file before it deletes the others, so no
    row was missed if the compact files are the same before and after reading and no file vanished;
    otherwise the files are read again. Damaged files are skipped with a warning.
    """
    while True:
        listing = Listing.of(folder)
        read = _read_all(listing, schema)
        now = Listing.of(folder)
        vanished = {path for path, rows in read.items() if isinstance(rows, FileNotFoundError)}
        if now.compacts == listing.compacts and vanished <= set(now.fragments):
            return _parts(listing, read)


def read_listing(listing: Listing, schema: pa.Schema) -> Parts:
    """Read the files of `listing`, which must not change meanwhile; skip damaged ones."""
    return _parts(listing, _read_all(listing, schema))


def warn_damaged(path: Path | str, error: Exception) -> None:
    """Warn in one line that a file is skipped."""
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
    """Merge the rows of all files, sorted by run_id; rows of one run keep their order.

    If several files hold rows of a run, those of its fragment count, or else those of the newest
    compact file.
    """
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
    """Return whether every run is in one file only; False if a file is damaged."""
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
    """Sort rows by run_id, unless they are sorted, as those of a compact file are."""
    ids = rows["run_id"].combine_chunks()
    sorted_already = len(ids) < 2 or pc.all(pc.less_equal(ids[:-1], ids[1:])).as_py()
    return rows if sorted_already else rows.sort_by("run_id")


def _try(path: Path, schema: pa.Schema) -> pa.Table | Exception:
    try:
        if _COMPACT.fullmatch(path.name):
            return read_file(path, schema)
        # Read all columns of a fragment, so that damage in one excludes it for every reader.
        rows = read_file(path, arrow_schema(schema.metadata[b"table"].decode()))
        _check_owner(path, rows)
    except _UNREADABLE as error:
        return error
    return rows.select(schema.names)


def _check_owner(path: Path, rows: pa.Table) -> None:
    # A copy of a fragment under another name would count its run twice.
    for run_id in pc.unique(rows["run_id"]).to_pylist():
        if run_id != path.stem:
            raise ValueError(f"it holds rows of run {run_id}")


def _number(path: Path) -> int:
    return int(path.stem.removeprefix("compact-"))

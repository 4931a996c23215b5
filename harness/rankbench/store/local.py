"""The tables of a study in a local folder: locks, renames, and files that are whole or absent.

For the rows of a run a fragment wins over a compact file, a newer compact file over an older.
An empty fragment says that a repeated run no longer has rows that a compact file still holds.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from pyarrow.dataset import ParquetFileFragment

from rankbench.store.parquet_file import (
    COMPACT,
    FRAGMENT,
    make_folder,
    publish,
    remove,
    rows_in,
    scanned,
    stage,
    unwritable,
)
from rankbench.store.reader import Listing, disjoint, merge, read_folder, read_listing
from rankbench.store.schema import TABLES, arrow_schema, narrowed

_LARGER = 2  # a compact file with so many times the rows of what is merged stays as it is


class LocalTables:
    """The tables below `folder`; many processes of one machine, or of a POSIX mount, may use it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, run_id: str, arrow: dict[str, pa.Table]) -> int:
        """Replace the rows of a run, those of `runs` last; return how many fragments there are.

        Raises OSError naming the file that cannot be written.
        """
        arrow = dict(arrow)
        staged: list[tuple[Path, Path]] = []
        with self._lock(fcntl.LOCK_SH):
            stale = self._bury(run_id, arrow)
            try:
                for name in sorted(arrow, key="runs".__eq__):  # runs come last
                    path = self._fragment(name, run_id)
                    staged.append((stage(path, arrow[name], **FRAGMENT), path))
                remove(stale)
                for temporary, path in staged:
                    publish(temporary, path)
            finally:
                for temporary, _ in staged:
                    temporary.unlink(missing_ok=True)
        return self.fragments()

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """The rows of `table`; warns of damaged files."""
        schema = narrowed(table, columns)
        return merge(read_folder(self.folder / table, schema), schema)

    def scannable(self, table: str) -> tuple[list[ParquetFileFragment], pa.Table] | None:
        """Files whose every row counts, to be read in part, and the rows of the fragments.

        None where a file hides rows of another, was written in another schema, or is damaged.
        """
        schema, listing = arrow_schema(table), Listing.of(self.folder / table)
        found = [scanned(path, schema) for path in listing.compacts]
        if None in found or not disjoint(listing):
            return None
        chosen = Listing(compacts=(), fragments=listing.fragments)
        rows = merge(read_listing(chosen, schema), schema)
        if Listing.of(self.folder / table) != listing:
            return None  # a compaction or a writer was at work: read again, with care
        return [file for file in found if file is not None], rows

    def compact(self, beyond: int | None = None) -> int:
        """Merge the files of each table; return how many were.

        With `beyond` only where there are more fragments than that, and large files are left.

        Raises OSError naming the file that cannot be written.
        """
        if not self.folder.is_dir():
            return 0
        with self._lock(fcntl.LOCK_EX):
            if beyond is not None and self.fragments() <= beyond:
                return 0  # another process was faster
            return sum(self._compact(table, whole=beyond is None) for table in TABLES)

    def fragments(self) -> int:
        """How many files the table with most fragments has, roughly."""
        folders = [self.folder / table for table in TABLES]
        return max(sum(1 for _ in folder.glob("*")) for folder in folders)

    def has_rows(self) -> bool:
        """Whether any table has a file."""
        listings = (Listing.of(self.folder / table) for table in TABLES)
        return any(listing.compacts or listing.fragments for listing in listings)

    def _fragment(self, table: str, run_id: str) -> Path:
        return self.folder / table / f"{run_id}.parquet"

    def _bury(self, run_id: str, arrow: dict[str, pa.Table]) -> list[Path]:
        """Empty fragments over what compact files may hold; return the fragments to remove."""
        stale = []
        for name in [name for name in TABLES if name not in arrow]:
            if Listing.of(self.folder / name).compacts:
                arrow[name] = arrow_schema(name).empty_table()
            elif self._fragment(name, run_id).exists():
                stale.append(self._fragment(name, run_id))
        return stale

    def _compact(self, table: str, whole: bool) -> int:
        folder, schema = self.folder / table, arrow_schema(table)
        remove(folder.glob(".*.tmp"))  # no writer is at work: these are a crash's
        listing = Listing.of(folder)
        kept = () if whole else _large(listing)
        chosen = Listing(compacts=listing.compacts[len(kept) :], fragments=listing.fragments)
        parts = read_listing(chosen, schema)
        if not parts.fragments and len(parts.compacts) < 2:
            return 0
        path = folder / f"compact-{listing.newest + 1}.parquet"
        publish(stage(path, merge(parts, schema), **COMPACT), path)
        # An empty fragment outlives the rows that it hides, also those in a damaged file.
        all_there = parts.whole and not kept
        merged = [part for part, rows in parts.fragments.items() if rows.num_rows or all_there]
        remove(parts.compacts)
        remove(merged)
        return len(parts.compacts) + len(merged)

    @contextmanager
    def _lock(self, kind: int) -> Iterator[None]:
        path = self.folder / ".lock"
        try:
            make_folder(self.folder)
            file = path.open("a")
            fcntl.flock(file, kind)
        except OSError as error:
            raise unwritable(path, error) from error
        with file:
            try:
                yield
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)  # a forked child may hold the file open


def _large(listing: Listing) -> tuple[Path, ...]:
    """The oldest compact files, that would cost more to merge again than it would gain."""
    total = len(listing.fragments)
    for left in range(len(listing.compacts), 0, -1):
        rows = rows_in(listing.compacts[left - 1])
        if rows > _LARGER * total:
            return listing.compacts[:left]
        total += rows
    return ()

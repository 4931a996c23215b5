"""Read and write the tables of a study in a local folder, with file locks and atomic renames.

A fragment holds the rows of one run, a compact file those of many. If several files hold rows of a
run, those of its fragment count, or else those of the newest compact file. An empty fragment
therefore hides the rows of a run in a compact file: it is written if a repeated run has none.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from rankbench.common.files import make_folder, publish, remove, unwritable
from rankbench.store.parquet_file import COMPACT, FRAGMENT, rows_in, scanned, stage
from rankbench.store.reader import Listing, disjoint, merge, read_folder, read_listing
from rankbench.store.schema import TABLES, arrow_schema, narrowed

if TYPE_CHECKING:
    from pyarrow.dataset import ParquetFileFragment

_LARGER = 2  # A compact file with more than this many times the rows to be merged is left as it is.


class LocalTables:
    """The tables in a study's folder.

    Many processes may use them at once, on one machine or on machines that share a POSIX file
    system.

    Args:
        folder: The study's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, run_id: str, arrow: dict[str, pa.Table]) -> int:
        """Replace all rows of a run; its row of `runs` is replaced last.

        Args:
            run_id: The run.
            arrow: Its rows by table.

        Returns:
            The number of fragments, roughly.

        Raises:
            OSError: If a file cannot be written; the error names it.
        """
        arrow = dict(arrow)
        staged: list[tuple[Path, Path]] = []
        with self._lock(fcntl.LOCK_SH):
            stale = self._hide_other_tables(run_id, arrow)
            try:
                # The row of `runs` comes last, so that it never counts without the other rows.
                for name in sorted(arrow, key=lambda table: table == "runs"):
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
        """Read some columns of a table; damaged files are skipped with a warning."""
        schema = narrowed(table, columns)
        return merge(read_folder(self.folder / table, schema), schema)

    def scannable(self, table: str) -> tuple[list[ParquetFileFragment], pa.Table] | None:
        """Return the compact files of a table for a partial scan, and the rows of its fragments.

        It returns None if the files must be read in full: some rows in them do not count, or a
        file has another schema or is damaged.
        """
        schema, listing = arrow_schema(table), Listing.of(self.folder / table)
        files = [scanned(path, schema) for path in listing.compacts]
        if None in files or not disjoint(listing):
            return None
        chosen = Listing(compacts=(), fragments=listing.fragments)
        rows = merge(read_listing(chosen, schema), schema)
        if Listing.of(self.folder / table) != listing:
            return None  # A writer or a compaction changed the files in the meantime.
        return [file for file in files if file is not None], rows

    def compact(self, beyond: int | None = None) -> int:
        """Merge the files of each table.

        Args:
            beyond: Merge only if a table has more fragments than this, and leave large compact
                files as they are. None to merge everything.

        Returns:
            The number of files merged.

        Raises:
            OSError: If a file cannot be written; the error names it.
        """
        if not self.folder.is_dir():
            return 0
        with self._lock(fcntl.LOCK_EX):
            if beyond is not None and self.fragments() <= beyond:
                return 0  # Another process has merged them in the meantime.
            return sum(self._compact(table, whole=beyond is None) for table in TABLES)

    def fragments(self) -> int:
        """Count the files of the table with the most files, roughly the number of fragments."""
        folders = [self.folder / table for table in TABLES]
        return max(sum(1 for _ in folder.glob("*")) for folder in folders)

    def has_rows(self) -> bool:
        """Return whether any table has a file."""
        listings = (Listing.of(self.folder / table) for table in TABLES)
        return any(listing.compacts or listing.fragments for listing in listings)

    def _fragment(self, table: str, run_id: str) -> Path:
        return self.folder / table / f"{run_id}.parquet"

    def _hide_other_tables(self, run_id: str, arrow: dict[str, pa.Table]) -> list[Path]:
        """Add an empty fragment to `arrow` for each table in which the run no longer has rows.

        Tables without compact files need none; their fragments of the run are returned, to be
        removed.
        """
        stale = []
        for name in [name for name in TABLES if name not in arrow]:
            if Listing.of(self.folder / name).compacts:
                arrow[name] = arrow_schema(name).empty_table()
            elif self._fragment(name, run_id).exists():
                stale.append(self._fragment(name, run_id))
        return stale

    def _compact(self, table: str, whole: bool) -> int:
        folder, schema = self.folder / table, arrow_schema(table)
        remove(folder.glob(".*.tmp"))  # The lock excludes writers, so a crash left these behind.
        listing = Listing.of(folder)
        kept = () if whole else _large(listing)
        chosen = Listing(compacts=listing.compacts[len(kept) :], fragments=listing.fragments)
        parts = read_listing(chosen, schema)
        if not parts.fragments and len(parts.compacts) < 2:
            return 0
        path = folder / f"compact-{listing.newest + 1}.parquet"
        publish(stage(path, merge(parts, schema), **COMPACT), path)
        # An empty fragment may only go if all rows that it hides have gone. Rows in a damaged file,
        # or in a file that is not merged, have not.
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
                # Closing the file would not unlock it if a forked child holds it open.
                fcntl.flock(file, fcntl.LOCK_UN)


def _large(listing: Listing) -> tuple[Path, ...]:
    """Return the oldest compact files that are too large to be merged with the newer ones."""
    total = len(listing.fragments)
    for left in range(len(listing.compacts), 0, -1):
        rows = rows_in(listing.compacts[left - 1])
        if rows > _LARGER * total:
            return listing.compacts[:left]
        total += rows
    return ()

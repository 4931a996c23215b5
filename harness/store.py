"""Results of one study: a Parquet file a run and table, merged now and then, never appended to.

Layout: `<root>/<study>/<table>/<run_id>.parquet` (a fragment) and `compact-<number>.parquet`.
For the rows of a run a fragment wins over a compact file, a newer compact file over an older.
An empty fragment says that a repeated run no longer has rows that a compact file still holds.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from harness.checks import one_of
from harness.fragments import (
    COMPACT,
    FRAGMENT,
    check_name,
    make_folder,
    publish,
    remove,
    stage,
    to_arrow,
    unwritable,
)
from harness.merge import DamagedFileWarning, Listing, merge, read_folder
from harness.schema import STATUSES, TABLES, arrow_schema

__all__ = ["DamagedFileWarning", "Store"]

Rows = dict[str, list[dict[str, Any]]]


class Store:
    """The results of `study` below the folder `root`; many processes may use it at once.

    Raises ValueError for a study's name that cannot be a folder's name.
    """

    def __init__(self, root: Path | str, study: str) -> None:
        check_name("study", study)
        self.study = study
        self.folder = Path(root) / study

    def write_run(self, tables: Rows) -> None:
        """Write all rows of one run: a single row of `runs`, any number of the other tables.

        What an earlier attempt at the run left is replaced, its row of `runs` last. Other rows
        take `study` and `run_id` from the row of `runs`, which takes its study from the store,
        where they have none.

        Raises ValueError for rows that do not fit the schema. Raises OSError naming the file
        that cannot be written; as a rule nothing of the earlier attempt has changed then.
        """
        run_id, arrow = self._to_arrow(tables)
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

    def read(self, table: str, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of `table`, all columns or the named ones, in the order of their run_id.

        Waits for no writer. A file with any damage is skipped with a DamagedFileWarning.
        Raises ValueError for an unknown table or column.
        """
        one_of("table", table, TABLES)
        schema = arrow_schema(table)
        for name in columns or ():
            one_of(f"column of the table {table}", name, schema.names)
        rows = merge(read_folder(self.folder / table, schema), schema)
        return rows if columns is None else rows.select(list(columns))

    def compact(self) -> int:
        """Merge the files of each table into one; return how many files were merged.

        The merged file is in place before the files it replaces go, so a crash loses nothing.
        Damaged files stay where they are. Waits for writers to finish, and they for it.

        Raises OSError naming the file that cannot be written.
        """
        if not self.folder.is_dir():
            return 0
        with self._lock(fcntl.LOCK_EX):
            return sum(self._compact(table) for table in TABLES)

    def _fragment(self, table: str, run_id: str) -> Path:
        return self.folder / table / f"{run_id}.parquet"

    def _to_arrow(self, tables: Rows) -> tuple[str, dict[str, pa.Table]]:
        for name in tables:
            one_of("table", name, TABLES)
        count = len(tables.get("runs", ()))
        if count != 1:
            raise ValueError(f"runs must hold 1 row for a run, got {count}")
        run = {"study": self.study, **tables["runs"][0]}
        check_name("run_id", run.get("run_id"))
        one_of("status", run.get("status"), STATUSES)
        own = {"study": run["study"], "run_id": run["run_id"]}
        for name, rows in tables.items():
            for row in rows:
                one_of(f"run_id of {name}", row.get("run_id", own["run_id"]), [own["run_id"]])
        filled = {name: [{**own, **row} for row in rows] for name, rows in tables.items() if rows}
        return own["run_id"], {name: to_arrow(name, rows) for name, rows in filled.items()}

    def _bury(self, run_id: str, arrow: dict[str, pa.Table]) -> list[Path]:
        """Empty fragments over what compact files may hold; return the fragments to remove."""
        stale = []
        for name in [name for name in TABLES if name not in arrow]:
            if Listing.of(self.folder / name).compacts:
                arrow[name] = arrow_schema(name).empty_table()
            elif self._fragment(name, run_id).exists():
                stale.append(self._fragment(name, run_id))
        return stale

    def _compact(self, table: str) -> int:
        folder, schema = self.folder / table, arrow_schema(table)
        remove(folder.glob(".*.tmp"))  # no writer is at work: these are a crash's
        parts = read_folder(folder, schema)
        if not parts.fragments and len(parts.compacts) < 2:
            return 0
        path = folder / f"compact-{Listing.of(folder).newest + 1}.parquet"
        publish(stage(path, merge(parts, schema), **COMPACT), path)
        # An empty fragment outlives the rows that it hides, also those in a damaged file.
        merged = [part for part, rows in parts.fragments.items() if rows.num_rows or parts.whole]
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

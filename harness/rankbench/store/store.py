"""The results of one study, as Parquet files that are written once and merged now and then.

In a local folder (local.py) each run has a file `<root>/<study>/<table>/<run_id>.parquet`, called a
fragment; merged fragments are `compact-<number>.parquet`. On an object store each attempt at a run
has files of its own (remote.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from rankbench.common.checks import one_of
from rankbench.store.local import LocalTables
from rankbench.store.location import is_remote, redact_url, study_folder
from rankbench.store.object_store.remote import RemoteTables
from rankbench.store.parquet_file import check_name, to_arrow
from rankbench.store.reader import DamagedFileWarning
from rankbench.store.schema import STATUSES, TABLES

__all__ = ["DamagedFileWarning", "Store"]

Rows = dict[str, list[dict[str, Any]]]
COMPACT_BEYOND = 500  # A table with more fragments is merged while the study runs.


class Store:
    """The results of one study. Many processes may use them at once.

    Attributes:
        folder: The study's local folder; in the cache if the results are on an object store.

    Args:
        root: The folder or URL of all results.
        study: The study's name.

    Raises:
        ValueError: If `study` cannot be the name of a folder, or the URL has an unknown scheme.
    """

    def __init__(self, root: Path | str, study: str) -> None:
        check_name("study", study)
        self.root, self.study = root, study
        self.folder = study_folder(root, study)
        self.tables: LocalTables | RemoteTables
        self.tables = (
            RemoteTables(str(root), study) if is_remote(root) else LocalTables(self.folder)
        )
        self._left = 0  # The number of fragments that the last compaction could not merge.

    @property
    def place(self) -> str:
        """Folder or URL of the study's results, without credentials."""
        return f"{redact_url(self.root)}/{self.study}"

    def write_run(self, tables: Rows) -> None:
        """Write all rows of one run, replacing those of an earlier attempt.

        The row of `runs` is replaced last. If a table then has more than COMPACT_BEYOND fragments,
        they are merged.

        Args:
            tables: Rows by table: one row of `runs`, any number of rows of the others. `study` may
                be left out of the row of `runs`, and `study` and `run_id` out of all others.

        Raises:
            ValueError: If a row does not fit the schema.
            OSError: If a file cannot be written; the error names it. The rows of the earlier
                attempt are then usually unchanged.
        """
        fragments = self.tables.write(*self._to_arrow(tables))
        if fragments > self._left + COMPACT_BEYOND:
            self.tables.compact(beyond=COMPACT_BEYOND)
            self._left = self.tables.fragments()

    def read(self, table: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Read a table, sorted by run_id, without waiting for writers.

        A damaged file is skipped with a DamagedFileWarning.

        Args:
            table: The table's name.
            columns: The columns to read, in order; None for all.

        Raises:
            ValueError: If the table or a column is unknown.
        """
        one_of("table", table, TABLES)
        names = [column.name for column in TABLES[table]]
        for name in columns or ():
            one_of(f"column of the table {table}", name, names)
        chosen = names if columns is None else list(columns)
        return self.tables.read(table, chosen).select(chosen)

    def compact(self) -> int:
        """Merge the files of each table into one.

        The merged file is published before the files that it replaces are deleted, so a crash
        loses nothing. Damaged files are left as they are. In a local folder, writers and the
        compaction wait for each other.

        Returns:
            The number of files merged.

        Raises:
            OSError: If a file cannot be written; the error names it.
        """
        return self.tables.compact()

    def _to_arrow(self, tables: Rows) -> tuple[str, dict[str, pa.Table]]:
        for name in tables:
            one_of("table", name, TABLES)
        count = len(tables.get("runs", ()))
        if count != 1:
            raise ValueError(f"runs must have exactly 1 row for a run, got {count}")
        run = {"study": self.study, **tables["runs"][0]}
        check_name("run_id", run.get("run_id"))
        one_of("status", run.get("status"), STATUSES)
        keys = {"study": run["study"], "run_id": run["run_id"]}
        for name, rows in tables.items():
            for row in rows:
                one_of(f"run_id of {name}", row.get("run_id", keys["run_id"]), [keys["run_id"]])
        filled = {name: [{**keys, **row} for row in rows] for name, rows in tables.items() if rows}
        return keys["run_id"], {name: to_arrow(name, rows) for name, rows in filled.items()}

"""Results of one study: a Parquet file a run and table, merged now and then, never appended to.

Layout: `<root>/<study>/<table>/<run_id>.parquet` (a fragment) and `compact-<number>.parquet` in a
local folder (local.py); on an object store every attempt has files of its own (remote.py).
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
COMPACT_BEYOND = 500  # fragments of a table: more are merged while the study runs


class Store:
    """The results of `study` below `root`, a folder or a URL; many processes may use it at once.

    `folder`: the study's local folder, in the cache where its results are on an object store.

    Raises ValueError for a study's name that cannot be a folder's name, and for an unknown URL.
    """

    def __init__(self, root: Path | str, study: str) -> None:
        check_name("study", study)
        self.root, self.study = root, study
        self.folder = study_folder(root, study)
        self.tables: LocalTables | RemoteTables
        self.tables = (
            RemoteTables(str(root), study) if is_remote(root) else LocalTables(self.folder)
        )
        self._left = 0  # fragments that the last compaction could not merge

    @property
    def place(self) -> str:
        """Where the results are, as a person is told."""
        return f"{redact_url(self.root)}/{self.study}"

    def write_run(self, tables: Rows) -> None:
        """Write all rows of one run: a single row of `runs`, any number of the other tables.

        What an earlier attempt at the run left is replaced, its row of `runs` last. Other rows
        take `study` and `run_id` from the row of `runs`, which takes its study from the store,
        where they have none. Fragments beyond COMPACT_BEYOND are then merged.

        Raises ValueError for rows that do not fit the schema. Raises OSError naming the file
        that cannot be written; as a rule nothing of the earlier attempt has changed then.
        """
        fragments = self.tables.write(*self._to_arrow(tables))
        if fragments > self._left + COMPACT_BEYOND:
            self.tables.compact(beyond=COMPACT_BEYOND)
            self._left = self.tables.fragments()

    def read(self, table: str, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of `table`, all columns or the named ones, in the order of their run_id.

        Waits for no writer. A file with any damage is skipped with a DamagedFileWarning.
        Raises ValueError for an unknown table or column.
        """
        one_of("table", table, TABLES)
        names = [column.name for column in TABLES[table]]
        for name in columns or ():
            one_of(f"column of the table {table}", name, names)
        chosen = names if columns is None else list(columns)
        return self.tables.read(table, chosen).select(chosen)

    def compact(self) -> int:
        """Merge the files of each table into one; return how many files were merged.

        The merged file is in place before the files it replaces go, so a crash loses nothing.
        Damaged files stay where they are. In a folder it waits for writers, and they for it.

        Raises OSError naming the file that cannot be written.
        """
        return self.tables.compact()

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

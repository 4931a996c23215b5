"""Read and write the tables of a study on an object store, without locks or atomic renames.

- A fragment `<run_id>~<attempt>.parquet` holds the rows of one attempt at a run. An attempt is a
  number above all those that its writer saw, followed by a random token; no clock is involved, and
  no two attempts have the same name. The fragment in `runs` is written last. It is the manifest:
  without it, the attempt's fragments in the other tables do not count.
- A compact file `compact-<attempt>.parquet` holds the rows of many attempts, with the attempt of
  each row in the column `_attempt`. It is named by the largest number and a random token. The
  process that made it deletes the files that it merged, and no others.
- For each run the rows of the largest attempt in `runs` count, taken from any one file that has
  them. A file and the compact file that replaces it may exist at the same time, as may the compact
  files of two processes. If the compact files changed or a file vanished while a reader read, it
  reads again.
- Files copied from a local folder (plain files) count only for runs that have no attempt.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rankbench.store.object_store.attempts import Catalog, Winners, combine, is_dead
from rankbench.store.object_store.objects import Objects
from rankbench.store.parquet_file import COMPACT, FRAGMENT, read_file
from rankbench.store.reader import warn_damaged
from rankbench.store.schema import TABLES, arrow_schema, narrowed

ATTEMPT = "_attempt"
_LARGER = 2  # A compact file with more than this many times the bytes to be merged is left as is.
_AT_ONCE = 16  # Requests in parallel.
_DAMAGED = (pa.ArrowException, OSError, ValueError)


class RemoteTables:
    """The tables of a study on an object store. Any number of machines may use them at once.

    Args:
        root: The URL of all results.
        study: The study's name.
    """

    def __init__(self, root: str, study: str) -> None:
        self.objects = Objects(root, study)

    def write(self, run_id: str, arrow: dict[str, pa.Table]) -> int:
        """Write a new attempt at a run; its row of `runs`, the manifest, is written last.

        Args:
            run_id: The run.
            arrow: Its rows by table.

        Returns:
            The number of fragments in `runs`.

        Raises:
            OSError: If an object cannot be written; the error names it.
        """
        seen = self._catalog("runs", settled=True)
        stem = f"{run_id}~{seen.newest + 1:012d}-{secrets.token_hex(6)}"
        for name in sorted(arrow, key=lambda table: table == "runs"):  # The manifest is last.
            self.objects.put(f"{name}/{stem}.parquet", _bytes(arrow[name], FRAGMENT))
        return len(seen.fragments) + 1

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """Read some columns of a table, sorted by run_id; skip damaged files with a warning."""
        schema = narrowed(table, columns)
        while True:
            # List the manifests first: an attempt's other files are written before its manifest,
            # so the second listing contains all files of these attempts.
            runs = self._catalog("runs")
            catalog = runs if table == "runs" else self._catalog(table)
            pieces = self._read(table, catalog, schema)
            tried = pieces if table == "runs" else self._read("runs", runs, narrowed("runs", ()))
            if self._same("runs", runs, tried) and self._same(table, catalog, pieces):
                break
        for name, rows in {**tried, **pieces}.items():
            if isinstance(rows, Exception):
                warn_damaged(self.objects.url(name), rows)
        winners = Winners.of(_good(tried).values())
        return combine(_good(pieces), winners, schema)

    def scannable(self, table: str) -> None:
        """Return None: which rows count is known only after all files have been read."""

    def compact(self, beyond: int | None = None) -> int:
        """Merge the files of each table, without waiting for writers or readers.

        Args:
            beyond: Merge only if `runs` has more fragments than this, and leave large compact
                files as they are. None to merge everything.

        Returns:
            The number of files merged.

        Raises:
            OSError: If an object cannot be written; the error names it.
        """
        if beyond is not None and self.fragments() <= beyond:
            return 0
        runs = self._catalog("runs", settled=True)
        winners = Winners.of(_good(self._read("runs", runs, narrowed("runs", ()))).values())
        return sum(self._compact(table, winners, beyond is None) for table in TABLES)

    def examine(self, table: str) -> dict[str, pa.Table | Exception]:
        """Read every object of a table by name: its rows with their attempts, or its damage."""
        schema = arrow_schema(table).append(pa.field(ATTEMPT, pa.string()))
        read = self._read(table, self._catalog(table), schema)
        return {name: r for name, r in read.items() if not isinstance(r, FileNotFoundError)}

    def fragments(self) -> int:
        """Count the fragments of `runs`."""
        return len(self._catalog("runs").fragments)

    def has_rows(self) -> bool:
        """Return whether any run is stored."""
        return not self._catalog("runs").empty

    def _compact(self, table: str, winners: Winners, whole: bool) -> int:
        schema = arrow_schema(table).append(pa.field(ATTEMPT, pa.string()))
        catalog = self._catalog(table).without_plain()
        catalog = catalog if whole else catalog.small(_LARGER)
        pieces = {
            name: rows
            for name, rows in _good(self._read(table, catalog, schema)).items()
            if name in catalog.compacts or winners.know(*catalog.fragments[name])
        }
        if not pieces or (set(pieces) == set(catalog.compacts) and len(pieces) < 2):
            return 0
        alive = {
            name: rows.filter(pc.invert(is_dead(rows, winners))) for name, rows in pieces.items()
        }
        merged = combine(alive, Winners.of(alive.values()), schema, every=True)
        if merged.num_rows:
            newest = catalog.newest_of(pieces)
            name = f"{table}/compact-{newest:012d}-{secrets.token_hex(6)}.parquet"
            self.objects.put(name, _bytes(merged, COMPACT))
        self._each(self.objects.delete, pieces)
        return len(pieces)

    def _catalog(self, table: str, settled: bool = False) -> Catalog:
        """List the files of a table.

        With `settled` the listing is repeated until no compaction changed the files during it.
        """
        catalog = Catalog.of(table, self.objects.sizes(table))
        while settled:
            again = Catalog.of(table, self.objects.sizes(table))
            if again.compacts.keys() == catalog.compacts.keys():
                return catalog
            catalog = again
        return catalog

    def _same(self, table: str, catalog: Catalog, read: dict[str, Any]) -> bool:
        now = Catalog.of(table, self.objects.sizes(table))
        gone = any(isinstance(rows, FileNotFoundError) for rows in read.values())
        return not gone and now.compacts.keys() == catalog.compacts.keys()

    def _read(
        self, table: str, catalog: Catalog, schema: pa.Schema
    ) -> dict[str, pa.Table | Exception]:
        every = arrow_schema(table).append(pa.field(ATTEMPT, pa.string()))
        names = list(dict.fromkeys([*schema.names, ATTEMPT]))
        columns = pa.schema([every.field(name) for name in names])

        def read(name: str) -> pa.Table | Exception:
            try:
                content = self.objects.open(name, catalog.sizes[name])
            except FileNotFoundError as error:
                return error
            try:
                # Read all columns of a fragment, so that damage in any of them excludes it for
                # every reader.
                rows = read_file(content, columns if name in catalog.compacts else every)
                return catalog.checked(name, rows.select(names))
            except _DAMAGED as error:
                return error if self.objects.exists(name) else FileNotFoundError(name)

        files = list(catalog.sizes)
        return dict(zip(files, self._each(read, files), strict=True))

    def _each(self, do: Callable[[str], Any], names: Iterable[str]) -> list[Any]:
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            return list(threads.map(do, names))


def _good(read: dict[str, pa.Table | Exception]) -> dict[str, pa.Table]:
    return {name: rows for name, rows in read.items() if isinstance(rows, pa.Table)}


def _bytes(rows: pa.Table, options: dict[str, Any]) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, write_page_checksum=True, **options)
    return sink.getvalue()

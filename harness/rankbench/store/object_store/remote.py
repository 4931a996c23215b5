"""The tables of a study on an object store, which has neither locks nor renames.

- `<run_id>~<attempt>.parquet` has the rows of one attempt at a run. The attempt is a number above
  all that its writer saw, and a random token: no clock is asked, no two attempts share a name. Its
  file in `runs` is written last: the manifest that makes the files of the other tables count.
- `compact-<attempt>.parquet` has the rows of many attempts, each with its `_attempt`; it is named
  by the largest and a token. Whoever made it deletes what was read for it, and nothing else.
- Of a run the rows of its largest attempt in `runs` count, from any one file that has them: a file
  and the compact file that replaces it may both be there for any time, and so may those of two
  compactors. A reader whose compact files changed while it read, or a file vanished, reads again.
- A copy of a local folder's files lies below all that: they count for runs without attempts.
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
_LARGER = 2  # a compact file with so many times the bytes of what is merged stays as it is
_AT_ONCE = 16
_DAMAGED = (pa.ArrowException, OSError, ValueError)


class RemoteTables:
    """The tables below `<root>/<study>`; any number of machines may use them."""

    def __init__(self, root: str, study: str) -> None:
        self.objects = Objects(root, study)

    def write(self, run_id: str, arrow: dict[str, pa.Table]) -> int:
        """Add an attempt at a run, its row of `runs` last; return how many fragments there are.

        Raises OSError naming the results that cannot be written.
        """
        seen = self._catalog("runs", settled=True)
        stem = f"{run_id}~{seen.newest + 1:012d}-{secrets.token_hex(6)}"
        for name in sorted(arrow, key="runs".__eq__):  # the manifest comes last
            self.objects.put(f"{name}/{stem}.parquet", _bytes(arrow[name], FRAGMENT))
        return len(seen.fragments) + 1

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """The rows of `table` in the order of their run_id; warns of damaged files."""
        schema = narrowed(table, columns)
        while True:
            # The manifests first: the files of an attempt are older than its manifest.
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
        """None: which rows count is only known from all files together."""

    def compact(self, beyond: int | None = None) -> int:
        """Merge the files of each table; return how many were. Waits for nobody.

        With `beyond` only where there are more fragments than that, and large files are left.

        Raises OSError naming the results that cannot be written.
        """
        if beyond is not None and self.fragments() <= beyond:
            return 0
        runs = self._catalog("runs", settled=True)
        winners = Winners.of(_good(self._read("runs", runs, narrowed("runs", ()))).values())
        return sum(self._compact(table, winners, beyond is None) for table in TABLES)

    def examine(self, table: str) -> dict[str, pa.Table | Exception]:
        """Every object of `table` by name, with the attempts of its rows, or why it is damaged."""
        schema = arrow_schema(table).append(pa.field(ATTEMPT, pa.string()))
        read = self._read(table, self._catalog(table), schema)
        return {name: r for name, r in read.items() if not isinstance(r, FileNotFoundError)}

    def fragments(self) -> int:
        """How many runs lie in a file of their own."""
        return len(self._catalog("runs").fragments)

    def has_rows(self) -> bool:
        """Whether any run is stored."""
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
        """What there is now; `settled`: as of one moment, whatever compactions are under way."""
        found = Catalog.of(table, self.objects.sizes(table))
        while settled:
            again = Catalog.of(table, self.objects.sizes(table))
            if again.compacts.keys() == found.compacts.keys():
                return found
            found = again
        return found

    def _same(self, table: str, catalog: Catalog, read: dict[str, Any]) -> bool:
        now = Catalog.of(table, self.objects.sizes(table))
        gone = any(isinstance(rows, FileNotFoundError) for rows in read.values())
        return not gone and now.compacts.keys() == catalog.compacts.keys()

    def _read(
        self, table: str, catalog: Catalog, schema: pa.Schema
    ) -> dict[str, pa.Table | Exception]:
        every = arrow_schema(table).append(pa.field(ATTEMPT, pa.string()))
        asked = list(dict.fromkeys([*schema.names, ATTEMPT]))
        columns = pa.schema([every.field(name) for name in asked])

        def read(name: str) -> pa.Table | Exception:
            try:
                content = self.objects.open(name, catalog.sizes[name])
            except FileNotFoundError as error:
                return error
            try:
                # All columns of a fragment: damage must count for every reader or for none.
                rows = read_file(content, columns if name in catalog.compacts else every)
                return catalog.checked(name, rows.select(asked))
            except _DAMAGED as error:
                return error if self.objects.exists(name) else FileNotFoundError(name)

        names = list(catalog.sizes)
        return dict(zip(names, self._each(read, names), strict=True))

    def _each(self, do: Callable[[str], Any], names: Iterable[str]) -> list[Any]:
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            return list(threads.map(do, names))


def _good(read: dict[str, pa.Table | Exception]) -> dict[str, pa.Table]:
    return {name: rows for name, rows in read.items() if isinstance(rows, pa.Table)}


def _bytes(rows: pa.Table, options: dict[str, Any]) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, write_page_checksum=True, **options)
    return sink.getvalue()

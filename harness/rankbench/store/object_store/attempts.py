"""Determine which attempt at each run counts among the files of a table on an object store.

remote.py describes the files and the rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from rankbench.store.reader import Parts, merge

_ATTEMPT = re.compile(r"(?P<number>\d{12})-[0-9a-f]{12}")
_NAMED = re.compile(rf"[~-]{_ATTEMPT.pattern}\.parquet$")
_KEY = "_attempt"


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """The files of a table on an object store."""

    fragments: dict[str, tuple[str, str]]
    """Run id and attempt of each fragment, by its name."""
    compacts: dict[str, str]
    """Largest attempt in each compact file, by its name."""
    plain: tuple[str, ...]
    """Names of files that were copied from a local folder and so have no attempt."""
    sizes: dict[str, int]
    """Bytes of all these files, by name."""

    @classmethod
    def of(cls, table: str, sizes: Mapping[str, int]) -> Catalog:
        """Classify the files of a table by their names, given the bytes of each."""
        fragments: dict[str, tuple[str, str]] = {}
        compacts: dict[str, str] = {}
        plain: list[str] = []
        for name in sorted(sizes):
            if not name.endswith(".parquet") or name.startswith(f"{table}/."):
                continue
            stem = name.removeprefix(f"{table}/").removesuffix(".parquet")
            run_id, _, attempt = stem.rpartition("~")
            if run_id and _ATTEMPT.fullmatch(attempt):
                fragments[name] = (run_id, attempt)
            elif _ATTEMPT.fullmatch(stem.removeprefix("compact-")):
                compacts[name] = stem.removeprefix("compact-")
            else:
                plain.append(name)
        kept = {name: sizes[name] for name in (*fragments, *compacts, *plain)}
        return cls(fragments=fragments, compacts=compacts, plain=tuple(plain), sizes=kept)

    @property
    def empty(self) -> bool:
        """Whether the table has no file."""
        return not self.sizes

    @property
    def newest(self) -> int:
        """Largest number of an attempt, or 0 if there is none."""
        return self.newest_of(self.sizes)

    def newest_of(self, names: Iterable[str]) -> int:
        """Return the largest number of an attempt among some files, or 0 if there is none."""
        attempts = [self._attempt(name) for name in names]
        return max((int(attempt.partition("-")[0]) for attempt in attempts if attempt), default=0)

    def without_plain(self) -> Catalog:
        """Return the files that a compaction merges: all but the plain ones."""
        return self._only((*self.fragments, *self.compacts))

    def small(self, larger: int) -> Catalog:
        """Return the files without those compact files that are too large to be merged.

        A compact file is too large if it has more than `larger` times the bytes of the files that
        would be merged with it.
        """
        total = sum(self.sizes[name] for name in self.fragments)
        chosen = []
        for name in sorted(self.compacts, key=self.sizes.__getitem__):
            if self.sizes[name] > larger * total:
                break
            chosen.append(name)
            total += self.sizes[name]
        return self._only((*self.fragments, *chosen))

    def checked(self, name: str, rows: pa.Table) -> pa.Table:
        """Return the rows of a file with their attempts in the column `_attempt`.

        Raises:
            ValueError: If a fragment holds rows of another run.
        """
        if name not in self.fragments:
            return rows
        run_id, attempt = self.fragments[name]
        others = pc.unique(rows["run_id"]).to_pylist()
        if others not in ([], [run_id]):
            raise ValueError(f"it holds rows of run {others[0]}")
        attempts = pa.array([attempt] * rows.num_rows, pa.string())
        return rows.set_column(rows.schema.get_field_index(_KEY), rows.schema.field(_KEY), attempts)

    def _attempt(self, name: str) -> str:
        return self.compacts.get(name) or self.fragments.get(name, ("", ""))[1]

    def _only(self, names: Iterable[str]) -> Catalog:
        kept = set(names)
        return Catalog(
            fragments={k: v for k, v in self.fragments.items() if k in kept},
            compacts={k: v for k, v in self.compacts.items() if k in kept},
            plain=tuple(k for k in self.plain if k in kept),
            sizes={k: v for k, v in self.sizes.items() if k in kept},
        )


@dataclass(frozen=True, kw_only=True)
class Winners:
    """The attempt that counts for each run: the largest one."""

    run_ids: pa.Array
    """The run ids, sorted."""
    attempts: pa.Array
    """The largest attempt at each of these runs."""

    @classmethod
    def of(cls, tables: Iterable[pa.Table]) -> Winners:
        """Find the largest attempts in the rows of `tables`; rows without attempt do not count."""
        schema = pa.schema([("run_id", pa.string()), (_KEY, pa.string())])
        parts = [table.select(schema.names).cast(schema) for table in tables]
        rows = pa.concat_tables([schema.empty_table(), *parts])
        rows = rows.filter(pc.is_valid(rows[_KEY]))
        rows = rows.sort_by([("run_id", "ascending"), (_KEY, "descending")]).combine_chunks()
        ids = _flat(rows["run_id"])
        if len(ids) > 1:
            differs = pc.not_equal(ids[1:], ids[:-1])
            rows = rows.filter(pa.concat_arrays([pa.array([True]), differs]))
        return cls(run_ids=_flat(rows["run_id"]), attempts=_flat(rows[_KEY]))

    def know(self, run_id: str, attempt: str) -> bool:
        """Return whether this attempt or a larger one counts, so that it is no longer written."""
        index = pc.index(self.run_ids, run_id).as_py()
        return bool(index >= 0 and attempt <= self.attempts[index].as_py())

    def of_rows(self, rows: pa.Table) -> pa.Array:
        """Return the attempt that counts for the run of each row, null for a run without any."""
        places = pc.index_in(_flat(rows["run_id"]), self.run_ids)
        return self.attempts.take(places)


def is_dead(rows: pa.Table, winners: Winners) -> pa.Array:
    """Return for each row whether a larger attempt has replaced its attempt."""
    return pc.fill_null(pc.less(_flat(rows[_KEY]), winners.of_rows(rows)), False)


def combine(
    pieces: Mapping[str, pa.Table], winners: Winners, schema: pa.Schema, every: bool = False
) -> pa.Table:
    """Merge the rows of several files, sorted by run_id, taking each attempt from one file.

    Args:
        pieces: The rows of each file, by its name.
        winners: The attempts that count.
        schema: The columns of the result.
        every: Keep the rows of every attempt, for a compact file, and not only those that count.
    """
    kept: list[pa.Table] = []
    known = pa.array([], pa.string())
    for rows in (rows for name, rows in pieces.items() if not _is_plain(name)):
        right = pc.equal(_flat(rows[_KEY]), winners.of_rows(rows))
        chosen = rows if every else rows.filter(pc.fill_null(right, False))
        keys = pc.binary_join_element_wise(_flat(chosen["run_id"]), _flat(chosen[_KEY]), "~")
        fresh = pc.invert(pc.is_in(keys, known))
        kept.append(chosen.filter(fresh))
        known = pa.concat_arrays([known, pc.unique(keys.filter(fresh))])
    plain = {Path(name): rows for name, rows in pieces.items() if _is_plain(name)}
    if plain:
        base = _merged(plain, next(iter(plain.values())).schema)
        kept.append(base.filter(pc.invert(pc.is_in(base["run_id"], winners.run_ids))))
    parts = [rows.select(schema.names) for rows in kept]
    return pa.concat_tables([schema.empty_table(), *parts]).sort_by("run_id")


def _is_plain(name: str) -> bool:
    return _NAMED.search(name) is None


def _merged(plain: dict[Path, pa.Table], schema: pa.Schema) -> pa.Table:
    compacts = {path: rows for path, rows in plain.items() if path.stem.startswith("compact-")}
    older_first = dict(sorted(compacts.items(), key=lambda item: int(item[0].stem[8:])))
    fragments = {path: rows for path, rows in plain.items() if path not in compacts}
    return merge(Parts(compacts=older_first, fragments=fragments, whole=True), schema)


def _flat(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return pa.concat_arrays(flat.chunks) if isinstance(flat, pa.ChunkedArray) else flat

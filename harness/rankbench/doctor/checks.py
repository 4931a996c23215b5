"""Checks the stored results of a study: files, rows, checkpoints, and the journal against them."""

from __future__ import annotations

import fcntl
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rankbench.doctor.findings import Finding
from rankbench.doctor.identity import mismatch
from rankbench.doctor.journal_checks import JOURNAL, check_journal
from rankbench.store.parquet_file import check_name, read_file
from rankbench.store.reader import Listing
from rankbench.store.schema import FINISHED, RENAMED, STATUSES, TABLES, arrow_schema

# What tells the rows of a run apart in each table; a table that is not here may repeat itself.
KEYS = {"runs": (), "epochs": ("epoch",), "samples": ("phase", "sample"), "weights": ("name",)}
_ROW = ("run_id", "point_id", "seed", "status", "config")
_UNREADABLE = (pa.ArrowException, OSError, ValueError)
_SHOWN = 3  # runs that a line names


@dataclass(frozen=True, kw_only=True)
class Table:
    """The files of a table that can be read, cut to the columns that a check needs."""

    name: str
    folder: Path
    compacts: Mapping[Path, pa.Table]
    fragments: Mapping[Path, pa.Table]

    def counting(self) -> pa.Table:
        """The rows that count: of a fragment, else of the newest compact file that has the run."""
        kept = list(self.fragments.values())
        known = pa.array([path.stem for path in self.fragments], pa.string())
        for rows in reversed(list(self.compacts.values())):
            kept.append(rows.filter(pc.invert(pc.is_in(rows["run_id"], known))))
            known = pa.concat_arrays([known, pc.unique(kept[-1]["run_id"]).cast(pa.string())])
        columns = arrow_schema(self.name).empty_table().select(columns_of(self.name))
        return pa.concat_tables([columns, *kept]).combine_chunks()


def studies_below(root: Path) -> list[Path]:
    """Folders of `root` that hold anything of a study.

    Raises ValueError where `root` is no folder.
    """
    if not root.is_dir():
        raise ValueError(f"results must be a folder, got {root}")
    parts = (*TABLES, "checkpoints", JOURNAL)
    folders = sorted(path for path in root.glob("[!.]*") if path.is_dir())
    return [folder for folder in folders if any((folder / part).exists() for part in parts)]


def is_being_run(folder: Path) -> bool:
    """Whether a process holds the study; nothing is written to find out."""
    try:
        with (folder / ".run.lock").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def check_study(folder: Path, *, running: bool) -> list[Finding]:
    """Everything that is wrong in a study's folder, files first.

    Of a study that is `running`, what a worker may just be writing is not judged.
    """
    findings: list[Finding] = []
    tables = {name: _read(folder / name, name, findings) for name in TABLES}
    if not running:
        findings += [
            Finding(kind="leftover file", path=path, what="it was being written when a crash came")
            for name in TABLES
            for path in sorted((folder / name).glob(".*.tmp"))
        ]
    for table in tables.values():
        findings += _doubles(table)
    runs = tables["runs"].counting()
    findings += wrong_rows(folder / "runs", runs)
    if not running:
        findings += _orphans(tables, runs["run_id"])
        findings += _stale_checkpoints(folder, runs)
        findings += check_journal(folder, set(runs["point_id"].to_pylist()))
    return findings


def columns_of(table: str) -> list[str]:
    """The columns of a table that its checks need."""
    return list(_ROW) if table == "runs" else ["run_id", *KEYS.get(table, ())]


def written_types(path: Path, schema: pa.Schema) -> dict[str, pa.DataType]:
    """The columns of a file whose type is not that of `schema`."""
    written = {RENAMED.get(field.name, field.name): field.type for field in pq.read_schema(path)}
    return {
        field.name: written[field.name]
        for field in schema
        if field.name in written and written[field.name] != field.type
    }


def _read(folder: Path, name: str, findings: list[Finding]) -> Table:
    """Read every file whole, so that damage in any page is met; tell what is wrong with it."""
    listing, schema = Listing.of(folder), arrow_schema(name)
    kept: dict[Path, pa.Table] = {}
    for path in (*listing.compacts, *listing.fragments):
        own = path in listing.fragments
        try:
            rows = read_file(path, schema)
            _check_file(path, name, rows, own=own)
        except FileNotFoundError:
            continue  # compacted in this moment
        except _UNREADABLE as error:
            kind, runs = ("damaged file", (path.stem,)) if own else ("damaged compact file", ())
            findings.append(damage(path, error, kind, runs))
            continue
        others = pc.unique(rows["run_id"]).to_pylist()
        if own and others not in ([path.stem], []):
            findings.append(_misnamed(path, others))
            continue
        drifted = written_types(path, schema)
        if drifted:
            told = ", ".join(f"{column} is {kind}" for column, kind in drifted.items())
            findings.append(Finding(kind="drifted column", path=path, what=told))
        kept[path] = rows.select(columns_of(name))
    return Table(
        name=name,
        folder=folder,
        compacts={path: kept[path] for path in listing.compacts if path in kept},
        fragments={path: kept[path] for path in listing.fragments if path in kept},
    )


def _check_file(path: Path, name: str, rows: pa.Table, *, own: bool) -> None:
    """Raise ValueError for a file that can be read and yet is none of this table."""
    table = (pq.read_schema(path).metadata or {}).get(b"table", name.encode()).decode()
    if table != name:
        raise ValueError(f"it holds the table {table}")
    if rows["run_id"].null_count:
        raise ValueError("it has rows without a run_id")
    if own:
        check_name("run_id", path.stem)
        if name == "runs" and not rows.num_rows:
            raise ValueError("it has no row")


def damage(path: Path, error: Exception, kind: str, runs: tuple[str, ...] = ()) -> Finding:
    """What `error` says of a file that could not be read."""
    what = (str(error).splitlines() or [type(error).__name__])[0]
    return Finding(kind=kind, path=path, what=what, runs=runs)


def _misnamed(path: Path, runs: Sequence[str]) -> Finding:
    what = f"it holds rows of {_shown(runs)}"
    return Finding(kind="misnamed file", path=path, what=what, runs=(path.stem,))


def _doubles(table: Table) -> Iterator[Finding]:
    if table.name not in KEYS:
        return
    keys = ["run_id", *KEYS[table.name]]
    for path, rows in {**table.compacts, **table.fragments}.items():
        yield from double_rows(path, rows, keys)


def double_rows(
    path: Path, rows: pa.Table, keys: Sequence[str], kind: str = "double rows"
) -> Iterator[Finding]:
    """A finding where `rows` of a file have the same `keys`."""
    counted = rows.group_by(list(keys)).aggregate([([], "count_all")])
    double = counted.filter(pc.greater(counted["count_all"], 1))
    if double.num_rows:
        runs = sorted(set(double["run_id"].to_pylist()))
        what = f"{double.num_rows} rows are there more than once, of {_shown(runs)}"
        yield Finding(kind=kind, path=path, what=what)


def wrong_rows(folder: Path, runs: pa.Table, kind: str = "wrong row") -> Iterator[Finding]:
    """The rows of `runs` whose ids are not the hashes of what they say, or of no known status."""
    for row in runs.to_pylist():
        why = mismatch(row)
        if row["status"] not in STATUSES:
            why = f"its status is {row['status']!r}"
        if why is not None:
            what = f"run {row['run_id']}: {why}"
            yield Finding(kind=kind, path=folder, what=what, runs=(row["run_id"],))


def _orphans(tables: Mapping[str, Table], known: pa.ChunkedArray) -> Iterator[Finding]:
    for table in tables.values():
        ids = table.counting()["run_id"]
        lost = pc.unique(ids.filter(pc.invert(pc.is_in(ids, known)))).to_pylist()
        if lost:
            what = f"no row of runs for {_shown(lost)}"
            yield Finding(
                kind="orphaned rows", path=table.folder, what=what, runs=tuple(sorted(lost))
            )


def _stale_checkpoints(folder: Path, runs: pa.Table) -> Iterator[Finding]:
    pairs = zip(runs["run_id"].to_pylist(), runs["status"].to_pylist(), strict=True)
    ended = {run_id for run_id, status in pairs if status in FINISHED}
    for path in sorted((folder / "checkpoints").glob("*")):
        run_id = path.name.partition(".")[0].partition("-")[0]
        if run_id in ended:
            what = f"run {run_id} has ended"
            yield Finding(kind="stale checkpoint", path=path, what=what)


def _shown(runs: Sequence[Any]) -> str:
    more = f" and {len(runs) - _SHOWN} more" if len(runs) > _SHOWN else ""
    return f"run {', '.join(str(run) for run in runs[:_SHOWN])}{more}"


def summary(findings: Sequence[Finding]) -> str:
    """How many findings of each kind."""
    counts = Counter(finding.kind for finding in findings)
    return ", ".join(f"{number} {kind}" for kind, number in counts.items())

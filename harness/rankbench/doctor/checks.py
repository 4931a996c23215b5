"""Check the stored results of a study: files, rows, checkpoints and the Optuna journal."""

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

# The columns that, with run_id, identify a row; tables that are not listed may repeat rows.
KEYS = {"runs": (), "epochs": ("epoch",), "samples": ("phase", "sample"), "weights": ("name",)}
_ROW = ("run_id", "point_id", "seed", "status", "config")
_UNREADABLE = (pa.ArrowException, OSError, ValueError)
_SHOWN = 3  # Number of runs that a message lists.


@dataclass(frozen=True, kw_only=True)
class Table:
    """The readable files of a table, with the columns that checks need."""

    name: str
    """Name of the table."""
    folder: Path
    """Folder of its files."""
    compacts: Mapping[Path, pa.Table]
    """Rows of the compact files, oldest first."""
    fragments: Mapping[Path, pa.Table]
    """Rows of the fragments, files with the rows of one run."""

    def counting(self) -> pa.Table:
        """Return the valid rows of each run: of its fragment, else of its newest compact file."""
        parts = list(self.fragments.values())
        known = pa.array([path.stem for path in self.fragments], pa.string())
        for rows in reversed(list(self.compacts.values())):
            parts.append(rows.filter(pc.invert(pc.is_in(rows["run_id"], known))))
            known = pa.concat_arrays([known, pc.unique(parts[-1]["run_id"]).cast(pa.string())])
        columns = arrow_schema(self.name).empty_table().select(columns_of(self.name))
        return pa.concat_tables([columns, *parts]).combine_chunks()


def studies_below(root: Path) -> list[Path]:
    """Find the folders in `root` that contain tables, checkpoints or a journal of a study.

    Raises:
        ValueError: `root` is not a folder.
    """
    if not root.is_dir():
        raise ValueError(f"results must be a folder, got {root}")
    parts = (*TABLES, "checkpoints", JOURNAL)
    folders = sorted(path for path in root.glob("[!.]*") if path.is_dir())
    return [folder for folder in folders if any((folder / part).exists() for part in parts)]


def is_being_run(folder: Path) -> bool:
    """Return whether a process is running the study, without writing anything."""
    try:
        with (folder / ".run.lock").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def check_study(folder: Path, *, running: bool) -> list[Finding]:
    """Check the folder of a study.

    Args:
        folder: Folder of the study.
        running: Whether the study is being run; then files that a worker may be writing are not
            checked.

    Returns:
        All problems, those of files first.
    """
    findings: list[Finding] = []
    tables = {name: _read(folder / name, name, findings) for name in TABLES}
    if not running:
        findings += [
            Finding(kind="leftover file", path=path, what="a crash interrupted its writing")
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
    """Return the columns of a table that its checks need."""
    return list(_ROW) if table == "runs" else ["run_id", *KEYS.get(table, ())]


def written_types(path: Path, schema: pa.Schema) -> dict[str, pa.DataType]:
    """Return the columns of a file whose type differs from the schema, with their type."""
    written = {RENAMED.get(field.name, field.name): field.type for field in pq.read_schema(path)}
    return {
        field.name: written[field.name]
        for field in schema
        if field.name in written and written[field.name] != field.type
    }


def _read(folder: Path, name: str, findings: list[Finding]) -> Table:
    """Read every file completely, to find damage in any page, and add problems to `findings`."""
    listing, schema = Listing.of(folder), arrow_schema(name)
    readable: dict[Path, pa.Table] = {}
    for path in (*listing.compacts, *listing.fragments):
        fragment = path in listing.fragments
        try:
            rows = read_file(path, schema)
            _check_file(path, name, rows, fragment=fragment)
        except FileNotFoundError:
            continue  # Another process has compacted it meanwhile.
        except _UNREADABLE as error:
            kind, runs = (
                ("damaged file", (path.stem,)) if fragment else ("damaged compact file", ())
            )
            findings.append(damage(path, error, kind, runs))
            continue
        ids = pc.unique(rows["run_id"]).to_pylist()
        if fragment and ids not in ([path.stem], []):
            findings.append(_misnamed(path, ids))
            continue
        drifted = written_types(path, schema)
        if drifted:
            what = ", ".join(f"{column} is {kind}" for column, kind in drifted.items())
            findings.append(Finding(kind="drifted column", path=path, what=what))
        readable[path] = rows.select(columns_of(name))
    return Table(
        name=name,
        folder=folder,
        compacts={path: readable[path] for path in listing.compacts if path in readable},
        fragments={path: readable[path] for path in listing.fragments if path in readable},
    )


def _check_file(path: Path, name: str, rows: pa.Table, *, fragment: bool) -> None:
    """Raise ValueError for a readable file that does not belong to this table."""
    table = (pq.read_schema(path).metadata or {}).get(b"table", name.encode()).decode()
    if table != name:
        raise ValueError(f"it contains the table {table}")
    if rows["run_id"].null_count:
        raise ValueError("it has rows without a run_id")
    if fragment:
        check_name("run_id", path.stem)
        if name == "runs" and not rows.num_rows:
            raise ValueError("it has no row")


def damage(path: Path, error: Exception, kind: str, runs: tuple[str, ...] = ()) -> Finding:
    """Make a finding from the error that reading a file has raised."""
    what = (str(error).splitlines() or [type(error).__name__])[0]
    return Finding(kind=kind, path=path, what=what, runs=runs)


def _misnamed(path: Path, runs: Sequence[str]) -> Finding:
    what = f"it contains rows of {_shown(runs)}"
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
    """Find rows of a file with the same values in `keys`."""
    counted = rows.group_by(list(keys)).aggregate([([], "count_all")])
    double = counted.filter(pc.greater(counted["count_all"], 1))
    if double.num_rows:
        runs = sorted(set(double["run_id"].to_pylist()))
        what = f"{double.num_rows} rows exist more than once, of {_shown(runs)}"
        yield Finding(kind=kind, path=path, what=what)


def wrong_rows(folder: Path, runs: pa.Table, kind: str = "wrong row") -> Iterator[Finding]:
    """Find rows of `runs` whose ids do not match their config, or whose status is unknown."""
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
    """Count the findings of each kind, as text."""
    counts = Counter(finding.kind for finding in findings)
    return ", ".join(f"{number} {kind}" for kind, number in counts.items())

"""Repair the stored results of a study. Nothing is lost: removed rows are moved to quarantine."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from rankbench.common.files import make_folder, publish, remove
from rankbench.doctor.checks import KEYS, check_study
from rankbench.doctor.findings import QUARANTINE, Finding
from rankbench.engine.runner import locked
from rankbench.store.parquet_file import COMPACT, FRAGMENT, read_file, stage
from rankbench.store.reader import Listing
from rankbench.store.schema import FINISHED, TABLES, arrow_schema
from rankbench.store.store import Store

_ROUNDS = 8  # A repair may reveal another problem, so checks are repeated up to this often.
# Compact files come first, because repairing fragments looks up rows in them.
_FILES_FIRST = ("damaged compact file", "damaged file", "misnamed file", "leftover file")
_JOURNAL = ("torn journal", "zombie trial", "trial without rows")


def mend_study(folder: Path) -> list[Finding]:
    """Repair the folder of a study, and compact its tables.

    Returns:
        The problems that were found and repaired.

    Raises:
        ValueError: The study is being run.
        OSError: A file cannot be written.
    """
    mended: list[Finding] = []
    with locked(folder):
        with _no_writer(folder):
            for _ in range(_ROUNDS):
                findings = check_study(folder, running=False)
                if not findings:
                    break
                # Files first: rows that seem to be missing may be in a file with a wrong name.
                files = [finding for finding in findings if finding.kind in _FILES_FIRST]
                files.sort(key=lambda finding: _FILES_FIRST.index(finding.kind))
                for finding in files or findings:
                    _mend(folder, finding)
                affected = {run for finding in files or findings for run in finding.runs}
                _quarantine_runs(folder, sorted(affected))
                mended += files or findings
        Store(folder.parent, folder.name).compact()
    return mended


def _mend(folder: Path, finding: Finding) -> None:
    match finding.kind:
        case "misnamed file":
            _rename(folder, finding.path)
        case "damaged file" | "damaged compact file" | "leftover file":
            _move(folder, finding.path)
        case "drifted column":
            _rewrite(folder, finding.path, _read(finding.path))
        case "double rows":
            _rewrite(folder, finding.path, _single(finding.path))
        case "stale checkpoint":
            remove([finding.path])
        case kind if kind in _JOURNAL:
            remove(folder.glob(f"{finding.path.name}*"))


def _rename(folder: Path, path: Path) -> None:
    """Rename a file after its run, or move it if it has several runs or its run another file."""
    [run_id, *others] = pc.unique(_read(path)["run_id"]).to_pylist()
    target = path.with_name(f"{run_id}.parquet")
    compacted = (_read(compact)["run_id"] for compact in Listing.of(path.parent).compacts)
    taken = target.exists() or any(run_id in ids.to_pylist() for ids in compacted)
    if others or taken:
        _move(folder, path)
    else:
        publish(path, target)


def _quarantine_runs(folder: Path, runs: Sequence[str]) -> None:
    """Move all rows of these runs to quarantine.

    The rows of the table `runs` are moved last, so that an interrupted repair leaves a row by which
    the rest of the run is found.
    """
    ids = pa.array(runs, pa.string())
    for name in [*(name for name in TABLES if name != "runs"), "runs"]:
        listing = Listing.of(folder / name)
        for path in listing.fragments:
            if path.stem in runs:
                _move(folder, path)
        for path in listing.compacts:
            rows = _read(path)
            affected = pc.is_in(rows["run_id"], ids)
            if pc.any(affected).as_py():
                _rewrite(folder, path, rows.filter(pc.invert(affected)))


def _single(path: Path) -> pa.Table:
    """Return the rows of a file without repetitions; a finished row is preferred, then the last."""
    rows = _read(path)
    keys = ["run_id", *KEYS[path.parent.name]]
    order = pa.table({**{key: rows[key] for key in keys}, "place": pa.array(range(len(rows)))})
    if "status" in rows.column_names:
        finished = pc.is_in(rows["status"], pa.array(FINISHED)).cast(pa.int64())
        rank = pc.add(pc.multiply(finished, len(rows)), order["place"])
    else:
        rank = order["place"]
    best = order.append_column("rank", rank).group_by(keys).aggregate([("rank", "max")])
    kept = pc.is_in(rank, best["rank_max"].combine_chunks())
    return rows.filter(kept)


def _rewrite(folder: Path, path: Path, rows: pa.Table) -> None:
    """Replace the rows of a file, and copy the old file to quarantine."""
    copy = _place(folder, path)
    shutil.copy2(path, copy)
    options = COMPACT if path in Listing.of(path.parent).compacts else FRAGMENT
    publish(stage(path, rows, **options), path)


def _move(folder: Path, path: Path) -> None:
    if path.exists():
        publish(path, _place(folder, path))


def _place(folder: Path, path: Path) -> Path:
    """Return an unused path in quarantine for a file."""
    aside = folder / QUARANTINE / path.parent.name
    make_folder(aside)
    names = (path.name if number == 0 else f"{path.name}.{number}" for number in count())
    return next(aside / name for name in names if not (aside / name).exists())


def _read(path: Path) -> pa.Table:
    return read_file(path, arrow_schema(path.parent.name))


@contextmanager
def _no_writer(folder: Path) -> Iterator[None]:
    """Hold the lock of the store, which `rankbench bench` takes to write outside a study's run."""
    with (folder / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

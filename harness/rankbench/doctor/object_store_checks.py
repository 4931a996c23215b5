"""Check and repair the results of a study on an object store."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from rankbench.doctor.checks import KEYS, columns_of, damage, double_rows, wrong_rows
from rankbench.doctor.findings import QUARANTINE, Finding
from rankbench.store.object_store.remote import ATTEMPT, RemoteTables
from rankbench.store.schema import TABLES
from rankbench.store.store import Store

_INSIDE = " in an object"  # Suffix of the kinds of problems that are not repaired there.


def check_objects(store: Store) -> list[Finding]:
    """Check the objects of a study.

    Other machines may be writing meanwhile: an object only becomes visible when it is complete.

    Returns:
        All problems, damaged objects first; paths begin with the name of the study.

    Raises:
        OSError: The object store does not answer.
    """
    findings: list[Finding] = []
    place = Path(store.study)
    for table in TABLES:
        for name, rows in RemoteTables(str(store.root), store.study).examine(table).items():
            if isinstance(rows, pa.Table) and table in KEYS:
                keys = ["run_id", ATTEMPT, *KEYS[table]]
                findings += double_rows(place / name, rows, keys, f"double rows{_INSIDE}")
            elif isinstance(rows, Exception):
                findings.insert(0, damage(place / name, rows, "damaged object"))
    counting = store.read("runs", columns_of("runs"))
    return [*findings, *wrong_rows(place / "runs", counting, f"wrong row{_INSIDE}")]


def mend_objects(store: Store) -> list[Finding]:
    """Move damaged objects to quarantine/; readers have ignored them before as well.

    Returns:
        The problems that were repaired.

    Raises:
        OSError: The object store does not answer.
    """
    objects = RemoteTables(str(store.root), store.study).objects
    damaged = [finding for finding in check_objects(store) if finding.kind == "damaged object"]
    for finding in damaged:
        name = finding.path.relative_to(store.study).as_posix()
        objects.move(name, f"{QUARANTINE}/{name}")
    return damaged

"""rankbench doctor: what is wrong with stored results, and what can be mended."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rankbench.common.address import check_address
from rankbench.common.exit_codes import DONE, FAILED
from rankbench.common.terminal import Screen
from rankbench.common.text import plain
from rankbench.doctor.checks import check_study, is_being_run, studies_below, summary
from rankbench.doctor.findings import Finding
from rankbench.doctor.mend import mend_study
from rankbench.doctor.object_store_checks import check_objects, mend_objects
from rankbench.store.location import is_remote, redact_url
from rankbench.store.query import studies
from rankbench.store.store import Store


def doctor(arguments: argparse.Namespace) -> int:
    """Check every study below a folder or URL, and mend it where asked."""
    root, console, storage = arguments.results, Screen(), arguments.storage
    check_address(storage)
    if is_remote(root):
        judge = _mend_objects if arguments.mend else _check_objects
        outcomes = [judge(console, Store(root, study), storage) for study in studies(root)]
    else:
        judge_folder = _mend if arguments.mend else _check
        outcomes = [judge_folder(console, one, storage) for one in studies_below(Path(root))]
    if all(outcomes):
        console.print(
            f"{len(outcomes)} studies in {redact_url(root)}: nothing is wrong", markup=False
        )
        return DONE
    if not arguments.mend:
        line = "mend what can be mended, without losing a row: rankbench doctor"
        console.print(f"{line} {redact_url(root)} --mend", markup=False, soft_wrap=True)
    return FAILED


def _check(console: Console, folder: Path, storage: str) -> bool:
    """Show what is wrong with a study; whether nothing is."""
    running = is_being_run(folder)
    if running:
        console.print(
            f"{folder.name} is being run: what a worker may be writing is not judged", markup=False
        )
    store = Store(folder.parent, folder.name)
    findings = [*check_study(folder, running=running), *_in_storage(store, storage)]
    _show(console, folder, findings, "what --mend does")
    return not findings


def _mend(console: Console, folder: Path, storage: str) -> bool:
    """Mend a study and show what was done; whether nothing is left to mend."""
    try:
        mended = mend_study(folder)
    except ValueError as error:
        console.print(f"not mended: {error}", markup=False, soft_wrap=True)
        return False
    _show(console, folder, mended, "what was done")
    store = Store(folder.parent, folder.name)
    left = [*check_study(folder, running=False), *_in_storage(store, storage)]
    _show(console, folder, left, "what is left to do")
    return not left


def _check_objects(console: Console, store: Store, storage: str) -> bool:
    """Show what is wrong with a study on an object store; whether nothing is."""
    return _left(console, store, storage, "what --mend does")


def _mend_objects(console: Console, store: Store, storage: str) -> bool:
    """Mend a study on an object store and show what was done; whether nothing is left."""
    _show(console, Path(store.study), mend_objects(store), "what was done")
    return _left(console, store, storage, "what is left to do")


def _left(console: Console, store: Store, storage: str, done: str) -> bool:
    findings = [*check_objects(store), *_in_storage(store, storage)]
    _show(console, Path(store.study), findings, done)
    return not findings


def _in_storage(store: Store, storage: str) -> Iterable[Finding]:
    if not storage:
        return ()
    # The driver of PostgreSQL is an extra.
    checks = importlib.import_module("rankbench.doctor.postgres_checks")
    points = store.read("runs", ["point_id"])["point_id"].to_pylist()
    folder = Path(store.study) if is_remote(store.root) else store.folder
    return cast(Iterable[Finding], checks.check_storage(storage, folder, set(points)))


def _show(console: Console, folder: Path, findings: Sequence[Finding], done: str) -> None:
    if not findings:
        return
    table = Table(
        "what", "where", "why", done, title=Text(plain(folder.name)), title_justify="left"
    )
    for finding in findings:
        where = finding.path.relative_to(folder)
        cells = (finding.kind, str(where), finding.what, finding.remedy)
        table.add_row(*(Text(plain(cell), overflow="fold") for cell in cells))
    console.print(table)
    console.print(f"{folder.name}: {summary(findings)}", markup=False)

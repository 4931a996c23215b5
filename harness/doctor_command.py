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

from harness.address import check_address
from harness.doctor import check_study, is_being_run, studies_below, summary
from harness.exits import DONE, FAILED
from harness.findings import Finding
from harness.label import plain
from harness.mend import mend_study
from harness.screen import Screen
from harness.store import Store


def doctor(arguments: argparse.Namespace) -> int:
    """Check every study of a results folder, and mend it where asked."""
    if "://" in arguments.results:
        raise ValueError(f"results must be a folder of this machine, got {arguments.results}")
    root, console, storage = Path(arguments.results), Screen(), arguments.storage
    check_address(storage)
    judge = _mend if arguments.mend else _check
    outcomes = [judge(console, folder, storage) for folder in studies_below(root)]
    if all(outcomes):
        console.print(f"{len(outcomes)} studies in {root}: nothing is wrong", markup=False)
        return DONE
    if not arguments.mend:
        line = f"mend what can be mended, without losing a row: rankbench doctor {root} --mend"
        console.print(line, markup=False, soft_wrap=True)
    return FAILED


def _check(console: Console, folder: Path, storage: str) -> bool:
    """Show what is wrong with a study; whether nothing is."""
    running = is_being_run(folder)
    if running:
        console.print(
            f"{folder.name} is being run: what a worker may be writing is not judged", markup=False
        )
    findings = [*check_study(folder, running=running), *_in_storage(folder, storage)]
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
    left = [*check_study(folder, running=False), *_in_storage(folder, storage)]
    _show(console, folder, left, "what is left to do")
    return not left


def _in_storage(folder: Path, storage: str) -> Iterable[Finding]:
    if not storage:
        return ()
    # The driver of PostgreSQL is an extra.
    checks = importlib.import_module("harness.storage_check")
    points = Store(folder.parent, folder.name).read("runs", ["point_id"])["point_id"].to_pylist()
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

"""rankbench doctor: what is wrong with stored results, and what can be mended."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.doctor import check_study, is_being_run, studies_below, summary
from harness.exits import DONE, FAILED
from harness.findings import Finding
from harness.label import plain
from harness.mend import mend_study
from harness.screen import Screen


def doctor(arguments: argparse.Namespace) -> int:
    """Check every study of a results folder, and mend it where asked."""
    if "://" in arguments.results:
        raise ValueError(f"results must be a folder of this machine, got {arguments.results}")
    root, console = Path(arguments.results), Screen()
    outcomes = [
        _mend(console, folder) if arguments.mend else _check(console, folder)
        for folder in studies_below(root)
    ]
    if all(outcomes):
        console.print(f"{len(outcomes)} studies in {root}: nothing is wrong", markup=False)
        return DONE
    if not arguments.mend:
        line = f"mend what can be mended, without losing a row: rankbench doctor {root} --mend"
        console.print(line, markup=False, soft_wrap=True)
    return FAILED


def _check(console: Console, folder: Path) -> bool:
    """Show what is wrong with a study; whether nothing is."""
    running = is_being_run(folder)
    if running:
        console.print(
            f"{folder.name} is being run: what a worker may be writing is not judged", markup=False
        )
    findings = check_study(folder, running=running)
    _show(console, folder, findings, "what --mend does")
    return not findings


def _mend(console: Console, folder: Path) -> bool:
    """Mend a study and show what was done; whether nothing is left to mend."""
    try:
        mended = mend_study(folder)
    except ValueError as error:
        console.print(f"not mended: {error}", markup=False, soft_wrap=True)
        return False
    _show(console, folder, mended, "what was done")
    left = check_study(folder, running=False)
    _show(console, folder, left, "what is left to do")
    return not left


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

"""`rankbench doctor`: find and repair problems in stored results."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankbench.cli.parsing.command import Command
from rankbench.cli.parsing.options import add_json
from rankbench.cli.parsing.parser import CommandParser
from rankbench.common.exit_codes import DONE, FAILED
from rankbench.common.terminal import Screen

if TYPE_CHECKING:
    from rankbench.doctor.findings import Finding
    from rankbench.store.store import Store


@dataclass(frozen=True, kw_only=True)
class Checkup:
    """The findings of the doctor in one study."""

    folder: Path
    """Folder of the study."""
    left: Sequence[Finding] = ()
    """Findings that remain."""
    mended: Sequence[Finding] = ()
    """Findings that have been repaired."""
    running: bool = False
    """Whether the study is being run, so that files being written are not checked."""
    refused: str | None = None
    """Reason for which the study could not be repaired; None if there is none."""


def doctor(arguments: argparse.Namespace) -> int:
    """Check all studies in a folder or at a URL, and repair them with `--mend`."""
    from rankbench.common.address import check_address
    from rankbench.store.location import redact_url

    root = _root(arguments)
    check_address(arguments.storage)
    console = Screen(stderr=arguments.json)
    checkups = []
    for one in _checkups(root, arguments.storage, mend=arguments.mend):
        checkups.append(one)
        if not arguments.json:
            _show(console, one, mend=arguments.mend)
    if arguments.json:
        from rankbench.cli.show.json import print_json

        print_json({"results": redact_url(root), "studies": [_facts(one) for one in checkups]})
    well = not any(one.left or one.refused for one in checkups)
    if well:
        console.print(f"{len(checkups)} studies in {redact_url(root)}: nothing is wrong")
        return DONE
    if not arguments.mend:
        line = "mend what can be mended, without losing a row: rankbench doctor"
        console.print(f"{line} {redact_url(root)} --mend", soft_wrap=True)
    return FAILED


def _root(arguments: argparse.Namespace) -> str:
    given = [path for path in (arguments.place, arguments.results) if path is not None]
    if len(set(given)) > 1:
        raise ValueError(
            f"RESULTS and --results must agree, got {given[0]!r} and {given[1]!r}; give one of them"
        )
    return str(given[0]) if given else "results"


def _checkups(root: str, storage: str, *, mend: bool) -> Iterator[Checkup]:
    from rankbench.doctor.checks import studies_below
    from rankbench.store.location import is_remote
    from rankbench.store.query import studies
    from rankbench.store.store import Store

    if is_remote(root):
        for study in studies(root):
            yield _check_remote(Store(root, study), storage, mend=mend)
    else:
        for folder in studies_below(Path(root)):
            yield _check_local(folder, storage, mend=mend)


def _check_local(folder: Path, storage: str, *, mend: bool) -> Checkup:
    from rankbench.doctor.checks import check_study, is_being_run
    from rankbench.doctor.mend import mend_study
    from rankbench.store.store import Store

    mended: Sequence[Finding] = ()
    if mend:
        try:
            mended = mend_study(folder)
        except ValueError as error:
            return Checkup(folder=folder, refused=str(error))
    running = not mend and is_being_run(folder)
    left = check_study(folder, running=running)
    left += _in_storage(Store(folder.parent, folder.name), storage)
    return Checkup(folder=folder, left=left, mended=mended, running=running)


def _check_remote(store: Store, storage: str, *, mend: bool) -> Checkup:
    from rankbench.doctor.object_store_checks import check_objects, mend_objects

    mended = mend_objects(store) if mend else ()
    left = [*check_objects(store), *_in_storage(store, storage)]
    return Checkup(folder=Path(store.study), left=left, mended=mended)


def _in_storage(store: Store, storage: str) -> Iterable[Finding]:
    if not storage:
        return ()
    from rankbench.doctor.postgres_checks import check_storage
    from rankbench.store.location import is_remote

    points = store.read("runs", ["point_id"])["point_id"].to_pylist()
    folder = Path(store.study) if is_remote(store.root) else store.folder
    return check_storage(storage, folder, set(points))


def _show(console: Screen, one: Checkup, *, mend: bool) -> None:
    if one.running:
        name = one.folder.name
        console.print(f"{name} is being run: what a worker may be writing is not judged")
    if one.refused is not None:
        console.print(f"not mended: {one.refused}", soft_wrap=True)
    _table(console, one.folder, one.mended, "what was done")
    _table(console, one.folder, one.left, "what is left to do" if mend else "what --mend does")


def _table(console: Screen, folder: Path, findings: Sequence[Finding], remedy: str) -> None:
    from rankbench.common.table import TerminalTable
    from rankbench.common.text import plain
    from rankbench.doctor.checks import summary

    if not findings:
        return
    table = TerminalTable("what", "where", "why", remedy, title=plain(folder.name))
    for finding in findings:
        where = finding.path.relative_to(folder)
        table.add_row(*map(plain, (finding.kind, str(where), finding.what, finding.remedy)))
    console.print(table)
    console.print(f"{folder.name}: {summary(findings)}")


def _facts(one: Checkup) -> dict[str, Any]:
    return {
        "study": one.folder.name,
        "running": one.running,
        "findings": [_finding(found, one.folder) for found in one.left],
        "mended": [_finding(found, one.folder) for found in one.mended],
        "not_mended": one.refused,
    }


def _finding(found: Finding, folder: Path) -> dict[str, Any]:
    return {
        "kind": found.kind,
        "path": str(found.path.relative_to(folder)),
        "what": found.what,
        "remedy": found.remedy,
        "runs": list(found.runs),
    }


def _add_options(command: CommandParser) -> None:
    command.add_argument(
        "place",
        nargs="?",
        metavar="RESULTS",
        help="folder or URL of the results (default: results)",
    )
    command.add_argument("--results", metavar="PATH", help="the same, as other commands have it")
    command.add_argument(
        "--storage",
        default="",
        metavar="URL",
        help="check the trials in this database as well: postgresql://HOST/DATABASE",
    )
    command.add_argument(
        "--mend", action="store_true", help="mend what can be mended without losing a row"
    )
    add_json(command)


COMMAND = Command(
    name="doctor",
    help="Check stored results, and mend them.",
    examples=(
        "rankbench doctor",
        "rankbench doctor results/reference --json",
        "rankbench doctor s3://BUCKET/results --mend",
    ),
    add_options=_add_options,
    execute=doctor,
)

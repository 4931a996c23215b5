"""rankbench data: make stored sets of frames, and list them."""

from __future__ import annotations

import argparse
import signal

from rich.console import Console
from rich.table import Table

from harness.checks import positive_int
from harness.data import sets
from harness.data.framing import Framing
from harness.data.ingest import Ingested, Source, ingest
from harness.data.layout import UCF11_CLASSES
from harness.data_progress import DataProgress
from harness.exits import DONE, FAILED

_MOST_SKIPPED = 20
UCF11_SIZE = len(UCF11_CLASSES)


def frames(arguments: argparse.Namespace) -> int:
    """Decode a data set; 1 when clips had to be skipped."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: stop and tell
    console = Console()
    if arguments.workers is not None:
        positive_int("--workers", arguments.workers)
    source = Source(
        layout=arguments.layout,
        path=arguments.path,
        splits=arguments.splits,
        where=tuple(_pair(text) for text in arguments.where),
    )
    name = arguments.name
    try:
        with DataProgress(console, name) as progress:
            stored = ingest(name, source, _framing(arguments), progress, workers=arguments.workers)
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on where it stopped")
        return FAILED
    if progress.frames:
        console.print(f"decoded {progress.frames} frames, {progress.rate:.0f} a second")
    elif not progress.fresh:
        console.print("nothing to do: the set is stored already, of these very clips")
    return _conclude(console, name, stored)


def listing(arguments: argparse.Namespace) -> int:
    """Show what is stored; 1 when a set is damaged."""
    console = Console()
    table = Table("set", "kind", "clips", "rows", "of", "skipped", "size", "hash", box=None)
    problems = []
    for name in sets.names():
        try:
            table.add_row(*_listed(name))
        except ValueError as error:
            problems.append(str(error))
    console.print(table if table.row_count else "no set is stored")
    console.print(f"folder: {sets.sets_folder()}", soft_wrap=True)
    for problem in problems:
        console.print(problem, markup=False, soft_wrap=True)
    return FAILED if problems else DONE


def _listed(name: str) -> tuple[str, ...]:
    array, index = sets.open_set(name)
    told = sets.metadata(index)
    size = f"{array.nbytes / 1e6:,.1f} MB"
    counts = (f"{len(index):,}", f"{told['shape'][0]:,}", _content(told), len(sets.skipped(index)))
    return (name, told["kind"], *map(str, counts), size, told["data_hash"])


def _content(told: dict[str, object]) -> str:
    if told["kind"] == "frames":
        return f"{told['width']}x{told['height']}x{told['channels']}"
    return f"{told['features']} features"


def _framing(arguments: argparse.Namespace) -> Framing:
    return Framing(
        height=arguments.height,
        width=arguments.width,
        channels=1 if arguments.grey else 3,
        fit=arguments.fit,
        every=arguments.every,
        per_clip=arguments.frames,
    )


def _pair(text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not column or not equals:
        raise ValueError(f"--where must be COLUMN=VALUE, got {text!r}")
    return column, value


def _conclude(console: Console, name: str, stored: Ingested) -> int:
    told, skipped = sets.metadata(stored.index), stored.skipped
    for clip in skipped[:_MOST_SKIPPED]:
        line = f"not in the set: {clip['source']}: {clip['reason']}"
        console.print(line, markup=False, soft_wrap=True)
    if len(skipped) > _MOST_SKIPPED:
        console.print(f"... and {len(skipped) - _MOST_SKIPPED} more")
    columns = ("clips", "classes", "groups", "frames", "skipped", "hash")
    table = Table("set", *columns, box=None)
    counts = [len(stored.index), *(_distinct(stored, column) for column in ("cls", "group"))]
    rest = (told["shape"][0], len(skipped))
    table.add_row(name, *(f"{count:,}" for count in (*counts, *rest)), told["data_hash"])
    console.print(table)
    console.print(f"stored: {stored.folder}", soft_wrap=True)
    classes = 1 + max(stored.index["label"].to_pylist())
    more = "" if classes == UCF11_SIZE else f" task.classes={classes}"
    console.print(f"train on it: rankbench run ucf11 task.frames={name}{more}", soft_wrap=True)
    return FAILED if skipped else DONE


def _distinct(stored: Ingested, column: str) -> int:
    return len(stored.index[column].unique())

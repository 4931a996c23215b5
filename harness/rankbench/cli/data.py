"""rankbench data: make stored sets of frames, and list them."""

from __future__ import annotations

import argparse
import importlib
import signal
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from rankbench.cli.data_progress import DataProgress, FeatureProgress
from rankbench.common.checks import positive_int
from rankbench.common.exit_codes import DONE, FAILED
from rankbench.common.terminal import Screen
from rankbench.data.features.feature_files import import_features
from rankbench.data.images.mnist import store_mnist
from rankbench.data.sets import catalog as sets
from rankbench.data.split import groups_are_known
from rankbench.data.video.framing import Framing
from rankbench.data.video.hmdb51 import column
from rankbench.data.video.ingest import Ingested, Source, ingest
from rankbench.data.video.layout import UCF11_CLASSES

_MOST_SKIPPED = 20
_SHOWN = 6


def frames(arguments: argparse.Namespace) -> int:
    """Decode a data set; 1 when clips had to be skipped."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: stop and tell
    console = Screen()
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
        return _stopped(console)
    if progress.frames:
        console.print(f"decoded {progress.frames} frames, {progress.rate:.0f} a second")
    elif not progress.fresh:
        console.print("nothing to do: the set is stored already, of these very clips")
    if arguments.layout == "hmdb51" and column(1) not in stored.index.column_names:
        console.print(
            "no official splits were found (CLASS_test_split1.txt, ...), so task.split=official"
            " cannot be used; give their folder or archive by --splits",
            soft_wrap=True,
        )
    return _conclude(console, name, stored)


def features(arguments: argparse.Namespace) -> int:
    """Store the features of a set's frames, or those of a file."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Screen()
    try:
        with FeatureProgress(console, arguments.name) as progress:
            folder = _features(arguments, progress)
    except KeyboardInterrupt:
        return _stopped(console)
    if progress.made:
        console.print(f"{progress.made} frames, {progress.rate:.0f} a second")
    else:
        console.print("nothing to do: the set is stored already, of these very frames")
    _, index = sets.open_set(folder.name)
    told = sets.metadata(index)
    rows, size = told["shape"]
    what = f"{rows:,} frames of {len(index):,} clips, {size:,} features each"
    line = f"{folder.name}: {what}, hash {told['data_hash']}"
    console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(f"stored: {folder}", markup=False, soft_wrap=True)
    more = f"task.features={folder.name}{_classes(index)}{_shown(index)}"
    console.print(f"train on it: rankbench run ucf11-features {more}", soft_wrap=True)
    return DONE


def _features(arguments: argparse.Namespace, progress: FeatureProgress) -> Path:
    if arguments.file is not None:
        return import_features(arguments.file, arguments.name, progress)
    # It imports torch, which takes seconds.
    making = importlib.import_module("rankbench.data.features.features")
    folder: Path = making.extract(
        arguments.name,
        arguments.extractor,
        target=arguments.target,
        weights=arguments.weights,
        batch=arguments.batch,
        device=arguments.device,
        watch=progress,
    )
    return folder


def mnist(arguments: argparse.Namespace) -> int:
    """Store MNIST."""
    console = Screen()
    folder = store_mnist(arguments.path, arguments.name)
    _, index = sets.open_set(folder.name)
    told, sides = sets.metadata(index), index["side"].to_pylist()
    counts = zip(sides, index["frames"].to_pylist(), strict=True)
    trained = sum(count for side, count in counts if side == "train")
    what = f"{trained:,} images to train on, {told['shape'][0] - trained:,} to test on"
    line = f"{folder.name}: {what}, hash {told['data_hash']}"
    console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(f"stored: {folder}", markup=False, soft_wrap=True)
    console.print(f"train on it: rankbench run draw task.images={folder.name}", soft_wrap=True)
    return DONE


def captions(arguments: argparse.Namespace) -> int:
    """Store captions of images with a vector each."""
    # It imports torch, which takes seconds.
    making = importlib.import_module("rankbench.cli.data_captions")
    return int(making.captions(arguments, Screen()))


def listing(arguments: argparse.Namespace) -> int:
    """Show what is stored; 1 when a set is damaged."""
    console = Screen()
    table = Table("set", "kind", "clips", "rows", "of", "skipped", "size", "hash", box=None)
    problems = []
    for name in sets.names():
        try:
            table.add_row(*_listed(name))
        except ValueError as error:
            problems.append(str(error))
    console.print(table if table.row_count else "no set is stored")
    console.print(f"folder: {sets.sets_folder()}", markup=False, soft_wrap=True)
    for problem in problems:
        console.print(problem, markup=False, soft_wrap=True)
    return FAILED if problems else DONE


def _listed(name: str) -> tuple[str, ...]:
    array, index = sets.open_set(name)
    told = sets.metadata(index)
    size = f"{array.nbytes / 1e6:,.1f} MB"
    counts = (f"{len(index):,}", f"{told['shape'][0]:,}", _content(told), len(sets.skipped(index)))
    return (name, told["kind"], *map(str, counts), size, told["data_hash"])


def _content(told: dict[str, Any]) -> str:
    if told["kind"] in ("frames", "images"):
        return f"{told['width']}x{told['height']}x{told['channels']}"
    return f"{told['shape'][1]} features"


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
    console.print(f"stored: {stored.folder}", markup=False, soft_wrap=True)
    index = stored.index
    more = f"task.frames={name}{_classes(index)}{_shown(index)}{_split(index)}"
    console.print(f"train on it: rankbench run ucf11 {more}", soft_wrap=True)
    return FAILED if skipped else DONE


def _distinct(stored: Ingested, column: str) -> int:
    return len(stored.index[column].unique())


def _classes(index: pa.Table) -> str:
    """The override that a study of UCF11 needs for the classes of a set."""
    classes = 1 + max(index["label"].to_pylist())
    return "" if classes == len(UCF11_CLASSES) else f" task.classes={classes}"


def _shown(index: pa.Table) -> str:
    """The override that a study needs where clips differ in length: the papers' six frames."""
    counts = index["frames"].to_pylist()
    if min(counts) == max(counts):
        return ""
    return f" task.time_steps={min(_SHOWN, *counts)} task.sampling=random"


def _split(index: pa.Table) -> str:
    """The override that a study of UCF11 needs where each clip is a group of its own."""
    groups, clips = index["group"].to_pylist(), index["clip_id"].to_pylist()
    shared = len(set(groups)) < len(groups) and groups_are_known(groups, clips)
    return "" if shared else " space.shared.task.split=[clip]"


def _stopped(console: Console) -> int:
    console.print("stopped; the same command goes on where it stopped")
    return FAILED

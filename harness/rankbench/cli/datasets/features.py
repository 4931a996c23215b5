"""`rankbench data features`: store features of the frames of a set."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from rankbench.cli.datasets.hints import classes_override, steps_override, stopped
from rankbench.cli.parsing.command import Command
from rankbench.cli.parsing.parser import CommandParser
from rankbench.common.exit_codes import DONE
from rankbench.common.terminal import Screen

if TYPE_CHECKING:
    from rankbench.cli.show.data_progress import FeatureProgress

EXTRACTORS = "efficientnet-lite0 or inception-v3"


def features(arguments: argparse.Namespace) -> int:
    """Compute and store features of all frames of a set, or import them from a file."""
    from rankbench.cli.show.data_progress import FeatureProgress
    from rankbench.data.sets.catalog import metadata, open_set

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Like Ctrl-C: stop, then report.
    console = Screen()
    try:
        with FeatureProgress(console, arguments.name) as progress:
            folder = _features(arguments, progress)
    except KeyboardInterrupt:
        return stopped(console)
    if progress.made:
        console.print(f"{progress.made} frames, {progress.rate:.0f} a second")
    else:
        console.print("nothing to do: the set is stored already, of these very frames")
    _, index = open_set(folder.name)
    told = metadata(index)
    rows, size = told["shape"]
    what = f"{rows:,} frames of {len(index):,} clips, {size:,} features each"
    line = f"{folder.name}: {what}, hash {told['data_hash']}"
    console.print(line, highlight=False, soft_wrap=True)
    console.print(f"stored: {folder}", soft_wrap=True)
    more = f"task.features={folder.name}{classes_override(index)}{steps_override(index)}"
    console.print(f"train on it: rankbench run ucf11-features {more}", soft_wrap=True)
    return DONE


def _features(arguments: argparse.Namespace, progress: FeatureProgress) -> Path:
    from rankbench.data.features.feature_files import import_features

    if arguments.file is not None:
        return import_features(arguments.file, arguments.name, progress)
    from rankbench.data.features.features import extract

    return extract(
        arguments.name,
        arguments.extractor,
        target=arguments.target,
        weights=arguments.weights,
        batch=arguments.batch,
        device=arguments.device,
        watch=progress,
    )


def add_network(command: CommandParser, what: str) -> None:
    """Add the options for the network that computes features."""
    command.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="a .pth or .safetensors of trained weights (default: those of an installed package)",
    )
    command.add_argument("--batch", type=int, default=16, metavar="N", help=f"{what} at once")
    command.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute"
    )


def _add_options(command: CommandParser) -> None:
    command.add_argument(
        "name", metavar="NAME", help="a set of frames; with --from, the name of the new set"
    )
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument("--extractor", metavar="NAME", help=EXTRACTORS)
    source.add_argument(
        "--from", dest="file", type=Path, metavar="FILE", help="a .npz of features made elsewhere"
    )
    command.add_argument(
        "--as", dest="target", metavar="NAME", help="name of the new set (default: NAME-EXTRACTOR)"
    )
    add_network(command, "frames")


COMMAND = Command(
    name="features",
    help="Turn the frames of a set into features of a CNN.",
    examples=(
        "rankbench data features ucf11 --extractor efficientnet-lite0",
        "rankbench data features mine --from features.npz",
    ),
    add_options=_add_options,
    execute=features,
)

"""`rankbench data ucf11`, `hmdb51` and `frames`: decode videos into a set of frames."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from rankbench.cli.datasets.hints import classes_override, split_override, steps_override, stopped
from rankbench.cli.parsing.command import Command
from rankbench.cli.parsing.parser import CommandParser
from rankbench.common.checks import positive_int
from rankbench.common.exit_codes import DONE, FAILED
from rankbench.common.terminal import Screen

if TYPE_CHECKING:
    from rankbench.data.video.framing import Framing
    from rankbench.data.video.ingest import Ingested

_MOST_SKIPPED = 20


def frames(arguments: argparse.Namespace) -> int:
    """Decode a data set; the exit code is 1 if clips were skipped."""
    from rankbench.cli.show.data_progress import DataProgress
    from rankbench.data.video.hmdb51 import column
    from rankbench.data.video.ingest import Source, ingest

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Like Ctrl-C: stop, then report.
    console, name = Screen(), arguments.name
    if arguments.workers is not None:
        positive_int("--workers", arguments.workers)
    source = Source(
        layout=arguments.layout,
        path=arguments.path,
        splits=arguments.splits,
        where=tuple(_pair(text) for text in arguments.where),
    )
    try:
        with DataProgress(console, name) as progress:
            stored = ingest(name, source, _framing(arguments), progress, workers=arguments.workers)
    except KeyboardInterrupt:
        return stopped(console)
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


def _framing(arguments: argparse.Namespace) -> Framing:
    from rankbench.data.video.framing import Framing

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


def _conclude(console: Screen, name: str, stored: Ingested) -> int:
    from rankbench.common.table import TerminalTable
    from rankbench.data.sets.catalog import metadata

    told, skipped, index = metadata(stored.index), stored.skipped, stored.index
    for clip in skipped[:_MOST_SKIPPED]:
        console.print(f"not in the set: {clip['source']}: {clip['reason']}", soft_wrap=True)
    if len(skipped) > _MOST_SKIPPED:
        console.print(f"... and {len(skipped) - _MOST_SKIPPED} more")
    table = TerminalTable("set", box=None)
    table.add_numbers("clips", "classes", "groups", "frames", "skipped", "hash")
    counts = [len(index), *(len(index[column].unique()) for column in ("cls", "group"))]
    counts += [told["shape"][0], len(skipped)]
    table.add_row(name, *(f"{count:,}" for count in counts), told["data_hash"])
    console.print(table)
    console.print(f"stored: {stored.folder}", soft_wrap=True)
    more = (
        f"task.frames={name}{classes_override(index)}{steps_override(index)}{split_override(index)}"
    )
    console.print(f"train on it: rankbench run ucf11 {more}", soft_wrap=True)
    return FAILED if skipped else DONE


def _add_options(command: CommandParser, layout: str) -> None:
    if layout == "frames":
        command.add_argument("name", metavar="NAME", help="name of the set")
    else:
        command.add_argument(
            "--as", dest="name", default=layout, metavar="NAME", help="name of the set"
        )
    command.add_argument(
        "path", type=Path, metavar="PATH", help="folder, archive or Parquet file of the clips"
    )
    command.add_argument(
        "--splits",
        type=Path,
        metavar="PATH",
        help="folder or archive of HMDB51's official split files",
    )
    _add_framing(command)
    command.set_defaults(layout=layout)


def _add_framing(command: CommandParser) -> None:
    command.add_argument("--width", type=int, default=160, metavar="N", help="pixels")
    command.add_argument("--height", type=int, default=120, metavar="N", help="pixels")
    command.add_argument("--grey", action="store_true", help="store one channel, not three")
    command.add_argument(
        "--fit", default="crop", help="how to handle other aspect ratios: crop, pad or stretch"
    )
    command.add_argument(
        "--every", type=int, default=1, metavar="K", help="keep every K-th frame of a clip"
    )
    command.add_argument(
        "--frames", type=int, metavar="N", help="keep N evenly spaced frames (default: all)"
    )
    command.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="COLUMN=VALUE",
        help="rows of a Parquet file to keep; may be given several times",
    )
    command.add_argument(
        "--workers", type=int, metavar="N", help="processes (default: one for each core)"
    )


COMMANDS = (
    Command(
        name="ucf11",
        help="Decode UCF11: class/group/clip, a folder or an archive.",
        examples=(
            "rankbench data ucf11 UCF11_updated_mpg.rar",
            "rankbench data ucf11 UCF11 --as small --width 80 --height 60",
        ),
        add_options=lambda command: _add_options(command, "ucf11"),
        execute=frames,
    ),
    Command(
        name="hmdb51",
        help="Decode HMDB51: class/clip, with its official splits.",
        examples=("rankbench data hmdb51 hmdb51_org.rar --splits test_train_splits.rar",),
        add_options=lambda command: _add_options(command, "hmdb51"),
        execute=frames,
    ),
    Command(
        name="frames",
        help="Decode any videos or JPEG frames: class/[group/]clip, or a Parquet file.",
        examples=(
            "rankbench data frames mine VIDEOS --every 5",
            "rankbench data frames mine clips.parquet --where split=train",
        ),
        add_options=lambda command: _add_options(command, "frames"),
        execute=frames,
    ),
)

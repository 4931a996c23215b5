"""`rankbench data`: store and list data sets."""

from __future__ import annotations

from rankbench.cli.datasets import captions, features, frames, listing, mnist
from rankbench.cli.parsing.command import Command
from rankbench.cli.parsing.parser import CommandParser

COMMANDS = (
    *frames.COMMANDS,
    mnist.COMMAND,
    features.COMMAND,
    captions.COMMAND,
    listing.COMMAND,
)


def _add_options(command: CommandParser) -> None:
    commands = command.add_subparsers(
        required=True, metavar="WHAT", help="what to store; or list, to see what is stored"
    )
    for subcommand in COMMANDS:
        subcommand.add_to(commands)


COMMAND = Command(
    name="data",
    help="Store a data set once, so that studies can train on it.",
    details="""\
Sets are cached in ~/.cache/rankbench, or in $RANKBENCH_CACHE. A study names a
set in task.frames, task.features, task.images or task.data.""",
    examples=(
        "rankbench data ucf11 UCF11_updated_mpg.rar",
        "rankbench data features ucf11 --extractor efficientnet-lite0",
        "rankbench data list",
    ),
    add_options=_add_options,
)

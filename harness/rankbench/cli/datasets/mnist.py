"""`rankbench data mnist`: store MNIST."""

from __future__ import annotations

import argparse
from pathlib import Path

from rankbench.cli.parsing.command import Command
from rankbench.cli.parsing.parser import CommandParser
from rankbench.common.exit_codes import DONE
from rankbench.common.terminal import Screen


def mnist(arguments: argparse.Namespace) -> int:
    """Store MNIST, and print a summary."""
    from rankbench.data.images.mnist import store_mnist
    from rankbench.data.sets.catalog import metadata, open_set

    console = Screen()
    folder = store_mnist(arguments.path, arguments.name)
    _, index = open_set(folder.name)
    told, sides = metadata(index), index["side"].to_pylist()
    counts = zip(sides, index["frames"].to_pylist(), strict=True)
    trained = sum(count for side, count in counts if side == "train")
    what = f"{trained:,} images to train on, {told['shape'][0] - trained:,} to test on"
    line = f"{folder.name}: {what}, hash {told['data_hash']}"
    console.print(line, highlight=False, soft_wrap=True)
    console.print(f"stored: {folder}", soft_wrap=True)
    console.print(f"train on it: rankbench run draw task.images={folder.name}", soft_wrap=True)
    return DONE


def _add_options(command: CommandParser) -> None:
    command.add_argument(
        "path",
        type=Path,
        metavar="PATH",
        help="a .npz of x_train, y_train, x_test and y_test, or a folder of it or of the idx files",
    )
    command.add_argument(
        "--as", "--name", dest="name", default="mnist", metavar="NAME", help="name of the set"
    )


COMMAND = Command(
    name="mnist",
    help="Store MNIST: its idx files, or a .npz.",
    examples=(
        "rankbench data mnist MNIST/raw",
        "rankbench data mnist mnist.npz --as digits",
    ),
    add_options=_add_options,
    execute=mnist,
)

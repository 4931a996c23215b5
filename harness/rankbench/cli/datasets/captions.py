"""`rankbench data captions`: store captions of images with a feature vector per image."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankbench.cli.datasets.features import EXTRACTORS, add_network
from rankbench.cli.parsing.command import Command
from rankbench.cli.parsing.parser import CommandParser
from rankbench.common.exit_codes import DONE
from rankbench.common.terminal import Screen

if TYPE_CHECKING:
    from rankbench.common.table import TerminalTable
    from rankbench.data.features.image_features import ImageFeatures
    from rankbench.data.images.caption_files import Captioned


def captions(arguments: argparse.Namespace) -> int:
    """Store captioned images, and print a summary."""
    from rankbench.data.images.caption_files import read_captions
    from rankbench.data.images.caption_sets import store_captions

    console = Screen()
    images = read_captions(arguments.captions, arguments.side)
    features = _features(arguments, images, console)
    settings: dict[str, Any] = {}
    if arguments.extractor:
        settings["extractor"] = arguments.extractor
    folder = store_captions(arguments.name, images, features, settings)
    console.print(_table(arguments.name, images))
    console.print(f"stored: {folder}", soft_wrap=True)
    console.print(f"train on it: rankbench run caption task.data={folder.name}", soft_wrap=True)
    return DONE


def _features(
    arguments: argparse.Namespace, images: Sequence[Captioned], console: Screen
) -> ImageFeatures:
    from rankbench.cli.show.data_progress import FeatureProgress
    from rankbench.data.features.image_features import extract_images, read_image_features

    if arguments.features is not None:
        if arguments.extractor is not None:
            raise ValueError("--extractor needs --images, a folder; --features are made already")
        return read_image_features(arguments.features, arguments.ids)
    if arguments.extractor is None:
        raise ValueError("--images needs --extractor: efficientnet-lite0 or inception-v3")
    with FeatureProgress(console, arguments.name) as progress:
        return extract_images(
            arguments.images,
            [image.image for image in images],
            arguments.extractor,
            weights=arguments.weights,
            batch=arguments.batch,
            device=arguments.device,
            watch=progress,
        )


def _table(name: str, images: Sequence[Captioned]) -> TerminalTable:
    from rankbench.common.table import TerminalTable
    from rankbench.data.images.caption_files import SIDES
    from rankbench.data.sets.catalog import metadata, open_set

    table = TerminalTable("set", "side", box=None)
    table.add_numbers("images", "captions", "hash")
    _, index = open_set(name)
    for side in (*SIDES, ""):
        here = [image for image in images if image.side == side]
        if here:
            counts = (len(here), sum(len(image.captions) for image in here))
            shown = [f"{count:,}" for count in counts]
            table.add_row(name, side or "none", *shown, metadata(index)["data_hash"])
    return table


def _add_options(command: CommandParser) -> None:
    command.add_argument("name", metavar="NAME", help="name of the set")
    command.add_argument(
        "--captions",
        action="append",
        required=True,
        metavar="[SIDE=]FILE",
        help="MSCOCO's or Karpathy's JSON, a Parquet file, or tokens of Flickr; several times,"
        " with SIDE train, validation or test where one file is one side",
    )
    command.add_argument(
        "--side",
        action="append",
        default=[],
        metavar="SIDE=FILE",
        help="names of the images of a side, one a line; may be given several times",
    )
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--features", type=Path, metavar="FILE", help="a .npz of ids and features, or a .npy"
    )
    source.add_argument(
        "--images", type=Path, metavar="FOLDER", help="folder of the images, for --extractor"
    )
    command.add_argument(
        "--ids", type=Path, metavar="FILE", help="names of the rows of a .npy, one a line"
    )
    command.add_argument("--extractor", metavar="NAME", help=EXTRACTORS)
    add_network(command, "images")


COMMAND = Command(
    name="captions",
    help="Store the captions of images with their features.",
    examples=(
        "rankbench data captions flickr8k --captions dataset_flickr8k.json --features feats.npz",
        "rankbench data captions coco --captions train=captions_train2014.json \\\n"
        "      --images train2014 --extractor inception-v3",
    ),
    add_options=_add_options,
    execute=captions,
)

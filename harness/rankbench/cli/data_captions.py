"""rankbench data captions: make a set of captioned images."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from rankbench.cli.data_progress import FeatureProgress
from rankbench.common.exit_codes import DONE
from rankbench.data.features.image_features import (
    ImageFeatures,
    extract_images,
    read_image_features,
)
from rankbench.data.images.caption_files import SIDES, Captioned, read_captions
from rankbench.data.images.caption_sets import store_captions
from rankbench.data.sets import catalog as sets


def captions(arguments: argparse.Namespace, console: Console) -> int:
    """Store the set that `arguments` ask for, and say what is in it."""
    images = read_captions(arguments.captions, arguments.side)
    features = _features(arguments, images, console)
    settings: dict[str, Any] = {}
    if arguments.extractor:
        settings["extractor"] = arguments.extractor
    folder = store_captions(arguments.name, images, features, settings)
    console.print(_table(arguments.name, images))
    console.print(f"stored: {folder}", markup=False, soft_wrap=True)
    console.print(f"train on it: rankbench run caption task.data={folder.name}", soft_wrap=True)
    return DONE


def _features(
    arguments: argparse.Namespace, images: Sequence[Captioned], console: Console
) -> ImageFeatures:
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


def _table(name: str, images: Sequence[Captioned]) -> Table:
    table = Table("set", "side", "images", "captions", "hash", box=None)
    _, index = sets.open_set(name)
    for side in (*SIDES, ""):
        here = [image for image in images if image.side == side]
        if here:
            counts = (len(here), sum(len(image.captions) for image in here))
            shown = [f"{count:,}" for count in counts]
            table.add_row(name, side or "none", *shown, sets.metadata(index)["data_hash"])
    return table

"""What can be asked of `rankbench data`; nothing is imported that takes long."""

from __future__ import annotations

import argparse
from pathlib import Path

LAYOUTS = {
    "ucf11": "decode UCF11: class/group/clip, a folder or an archive",
    "hmdb51": "decode HMDB51: class/clip, with its official splits",
    "frames": "decode any videos or JPEG frames: class/[group/]clip, or a Parquet file",
}


def add_data(parser: argparse.ArgumentParser) -> None:
    """The commands below `rankbench data`."""
    commands = parser.add_subparsers(required=True, metavar="WHAT")
    for layout, what in LAYOUTS.items():
        command = commands.add_parser(layout, help=what)
        if layout == "frames":
            command.add_argument("name", help="name of the set")
        else:
            command.add_argument("--as", dest="name", default=layout, help="name of the set")
        command.add_argument("path", type=Path, help="folder, archive or Parquet file")
        command.add_argument(
            "--splits", type=Path, help="folder or archive of HMDB51's official split files"
        )
        _add_framing(command)
        command.set_defaults(ask="frames", layout=layout)
    digits = commands.add_parser("mnist", help="store MNIST: a folder of its idx files, or a .npz")
    digits.add_argument("path", type=Path, help="folder, or a .npz of x_train, y_train, ...")
    digits.add_argument("--as", "--name", dest="name", default="mnist", help="name of the set")
    digits.set_defaults(ask="mnist")
    made = commands.add_parser("features", help="turn a set's frames into features of a CNN")
    _add_features(made)
    made.set_defaults(ask="features")
    captioned = commands.add_parser("captions", help="store images' captions with their features")
    _add_captions(captioned)
    captioned.set_defaults(ask="captions")
    listed = commands.add_parser("list", help="show what is stored, with sizes and hashes")
    listed.set_defaults(ask="listing")


def _add_framing(command: argparse.ArgumentParser) -> None:
    command.add_argument("--width", type=int, default=160, help="pixels (default: 160)")
    command.add_argument("--height", type=int, default=120, help="pixels (default: 120)")
    command.add_argument("--grey", action="store_true", help="one channel, not three")
    command.add_argument(
        "--fit", default="crop", help="another aspect: crop (default), pad or stretch"
    )
    command.add_argument("--every", type=int, default=1, metavar="K", help="each K-th frame")
    command.add_argument(
        "--frames", type=int, metavar="N", help="N of a clip, evenly spread (default: all)"
    )
    command.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="COLUMN=VALUE",
        help="rows of a Parquet file; may be given several times",
    )
    command.add_argument("--workers", type=int, help="processes (default: one a core)")


def _add_features(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", help="a set of frames; with --from, the name of the new set")
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument("--extractor", help="efficientnet-lite0 or inception-v3")
    source.add_argument(
        "--from", dest="file", type=Path, metavar="FILE", help="a .npz of features made elsewhere"
    )
    command.add_argument("--as", dest="target", help="name of the new set (NAME-EXTRACTOR)")
    command.add_argument("--weights", type=Path, help="a .pth or .safetensors of trained weights")
    command.add_argument("--batch", type=int, default=16, help="frames at once (default: 16)")
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")


def _add_captions(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", help="name of the set")
    command.add_argument(
        "--captions",
        action="append",
        required=True,
        metavar="[SIDE=]FILE",
        help="MSCOCO's or Karpathy's JSON, a Parquet, or tokens of Flickr; several times, with"
        " SIDE train, validation or test where one file is one side",
    )
    command.add_argument(
        "--side",
        action="append",
        default=[],
        metavar="SIDE=FILE",
        help="names of a side's images, one a line; several times",
    )
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument("--features", type=Path, help=".npz of ids and features, or .npy")
    source.add_argument("--images", type=Path, help="folder of the images, for --extractor")
    command.add_argument("--ids", type=Path, help="names of the rows of a .npy, one a line")
    command.add_argument("--extractor", help="efficientnet-lite0 or inception-v3")
    command.add_argument("--weights", type=Path, help="a .pth or .safetensors of trained weights")
    command.add_argument("--batch", type=int, default=16, help="images at once (default: 16)")
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")

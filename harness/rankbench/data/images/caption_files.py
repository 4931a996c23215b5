"""Read captions of images, and the side of each image, from the files of public data sets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rankbench.common.checks import one_of

SIDES = ("train", "validation", "test")
# Other names of the sides; Karpathy's restval belongs to the training side.
_SIDE_OF = {
    **{side: side for side in SIDES},
    **{"val": "validation", "dev": "validation", "restval": "train"},
    "none": "",
}
_TOKEN_LINE = re.compile(r"^(?P<image>[^\t]+)#(?P<number>\d+)\t(?P<caption>.*)$")
COLUMNS = ("image_id", "cap_idx", "caption", "split")

# Image, number of the caption, caption, and side, which is empty if the file has none.
Said = tuple[str, int, str, str]


@dataclass(kw_only=True)
class Captioned:
    """An image with its captions."""

    image: str
    """Name of the image."""
    side: str
    """train, validation or test; empty for an image that is not used."""
    captions: list[str] = field(default_factory=list)
    """Captions in the order of their numbers."""


def read_captions(files: Sequence[str], lists: Sequence[str] = ()) -> list[Captioned]:
    """Read the captions of images from files.

    A file is MSCOCO's JSON, Karpathy's JSON, a Parquet file with the columns image_id, cap_idx,
    caption and split, or a token file of Flickr8k or Flickr30k (image.jpg#0<TAB>caption).

    Args:
        files: Paths, or SIDE=PATH for a file whose captions all belong to one side.
        lists: SIDE=PATH, text files with the names of a side's images.

    Returns:
        The images, sorted by name.

    Raises:
        ValueError: A file cannot be used, an image is on two sides, or no image has a side.
    """
    if not files:
        raise ValueError("--captions must name at least one file, got none")
    listed = dict(_listed(lists))
    images: dict[str, Captioned] = {}
    for given in files:
        side, path = _given("--captions", given)
        rows = _reader(path)
        for image, _, caption, own in sorted(_within(path, rows), key=lambda said: said[:2]):
            _add(images, image, caption, listed.get(image, "") if lists else side or own, path)
    missing = [name for name in listed if name not in images]
    if missing:
        raise ValueError(f"--side: {len(missing)} images have no caption, such as {missing[0]}")
    if not any(image.side for image in images.values()):
        raise ValueError(
            "no caption has a side: use --captions SIDE=FILE, or list the names of images with"
            f" --side SIDE=FILE; sides are {', '.join(SIDES)}"
        )
    return [images[name] for name in sorted(images)]


def _add(images: dict[str, Captioned], image: str, caption: str, side: str, path: Path) -> None:
    known = images.setdefault(image, Captioned(image=image, side=side))
    if known.side != side:
        sides = " and ".join(repr(name or "none") for name in (known.side, side))
        raise ValueError(f"captions file {path}: image {image} is on two sides, {sides}")
    known.captions.append(caption)


def _listed(lists: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Return the image and the side of every line; raise ValueError for an image on two sides."""
    seen: dict[str, str] = {}
    for given in lists:
        side, path = _given("--side", given)
        if not side:
            raise ValueError(f"--side must be SIDE=FILE, got {given!r}")
        for image in filter(None, map(str.strip, _text(path).splitlines())):
            if seen.setdefault(image, side) != side:
                raise ValueError(f"--side: image {image} is on two sides, {seen[image]} and {side}")
            yield image, side


def _given(option: str, given: str) -> tuple[str, Path]:
    """Parse SIDE=PATH or a path, which may contain an equals sign if no side precedes it."""
    side, equals, rest = given.partition("=")
    if equals and side in _SIDE_OF:
        return _side(option, side), Path(rest).expanduser()
    if equals and not Path(given).expanduser().exists():
        one_of(f"the side in {option} {given}", side, SIDES)
    return "", Path(given).expanduser()


def _side(where: str, name: str) -> str:
    """Convert the name that a file has for a side to one of SIDES, or to an empty string."""
    if name not in _SIDE_OF:
        raise ValueError(f"{where}: split must be one of: {', '.join(_SIDE_OF)}; got {name!r}")
    return _SIDE_OF[name]


def _reader(path: Path) -> Iterable[Said]:
    readers: dict[str, Callable[[Path], Iterable[Said]]] = {".json": _json, ".parquet": _parquet}
    return readers.get(path.suffix.lower(), _tokens)(path)


def _within(path: Path, rows: Iterable[Said]) -> Iterator[Said]:
    """Check that a file has captions and that none is empty."""
    empty = True
    for image, number, caption, side in rows:
        empty = False
        if not caption.strip():
            raise ValueError(f"captions file {path}: caption {number} of image {image} is empty")
        yield image, number, caption.strip(), side
    if empty:
        raise ValueError(f"captions file {path}: it contains no caption")


def _tokens(path: Path) -> Iterator[Said]:
    for number, line in enumerate(_text(path).splitlines(), 1):
        if line.strip():
            match = _TOKEN_LINE.match(line)
            if match is None:
                raise ValueError(
                    f"captions file {path}: line {number} must be image.jpg#0<TAB>caption,"
                    f" got {line!r}"
                )
            yield match["image"], int(match["number"]), match["caption"], ""


def _json(path: Path) -> list[Said]:
    try:
        content = json.loads(_text(path))
        images = content["images"]
        if "annotations" not in content:
            return list(_karpathy(path, images))
        names = {image["id"]: str(image.get("file_name", image["id"])) for image in images}
        return [
            (names[entry["image_id"]], int(entry["id"]), str(entry["caption"]), "")
            for entry in content["annotations"]
        ]
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"captions file {path} is neither MSCOCO's JSON (images, annotations) nor Karpathy's"
            f" (images with sentences and split): {type(error).__name__} {error}"
        ) from error


def _karpathy(path: Path, images: Iterable[Any]) -> Iterator[Said]:
    for image in images:
        side = _side(f"captions file {path}", image["split"])
        for number, sentence in enumerate(image["sentences"]):
            yield str(image["filename"]), number, str(sentence["raw"]), side


def _parquet(path: Path) -> Iterator[Said]:
    try:
        names = pq.read_schema(path).names
        absent = [name for name in COLUMNS if name not in names]
        rows = [] if absent else pq.read_table(path, columns=list(COLUMNS)).to_pylist()
    except (OSError, ValueError, pa.ArrowException) as error:  # Text may also be invalid UTF-8.
        reason = str(error).partition("\n")[0]
        raise ValueError(f"captions file {path} cannot be read as Parquet: {reason}") from error
    if absent:
        raise ValueError(f"captions file {path}: column {', '.join(absent)} is missing")
    for row in rows:
        if None in row.values():
            raise ValueError(f"captions file {path}: a row of image {row['image_id']} has a null")
        if not isinstance(row["cap_idx"], int):
            raise ValueError(
                f"captions file {path}: cap_idx must contain integers, got {row['cap_idx']!r}"
            )
        side = _side(f"captions file {path}", row["split"])
        yield str(row["image_id"]), row["cap_idx"], str(row["caption"]), side


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "it is not UTF-8 text"
        raise ValueError(f"file {path} cannot be read: {reason}") from error

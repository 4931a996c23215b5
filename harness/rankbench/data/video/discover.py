"""Find the clips of a data set from the paths of its files, without decoding them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from rankbench.data.video.layout import Layout
from rankbench.data.video.media import JpegFiles, Media, VideoFile

VIDEOS = frozenset(
    (".avi", ".mpg", ".mpeg", ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".wmv", ".flv", ".ogv")
)
PICTURES = frozenset((".jpg", ".jpeg"))
IGNORED = re.compile(r"annotations?|__macosx|\..*", re.IGNORECASE)  # Folders that are left out.
# Prefix of files that are left out: macOS writes ._a.avi beside a.avi.
HIDDEN = "."

# The name of the given folder, followed by the parts of a path below it.
Place = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DiscoveredClip:
    """A clip that can be decoded."""

    clip_id: str
    """Name of the clip, or its path if names are not unique."""
    cls: str
    """Name of its class."""
    label: int
    """Number of its class."""
    group: str
    """Group of clips that show the same scene."""
    source: str
    """Path of the clip below the folder that the user gave."""
    media: Media
    """Pictures of the clip."""
    ordered: bool = True
    """Whether the pictures are in the order of time."""
    extras: Mapping[str, Any] = field(default_factory=dict)
    """Further columns of its row; they replace those that decoding finds."""

    @property
    def name(self) -> str:
        """Name of its file without the suffix, or of its folder."""
        last = PurePosixPath(self.source)
        return last.stem if isinstance(self.media, VideoFile) else last.name

    def row(self, source_hash: str) -> dict[str, Any]:
        """Return the columns of its row that are known before it is decoded."""
        names = ("clip_id", "cls", "label", "group", "source", "ordered")
        known = {name: getattr(self, name) for name in names}
        return {**known, **self.extras, "source_hash": source_hash}


def clips_in(roots: Iterable[Path], layout: Layout) -> list[DiscoveredClip]:
    """Find all clips below some folders.

    A clip is a video file or a folder of JPEG files. Its id is its name, or its path if two clips
    have the same name. Folders named Annotation are left out. A clip that exists twice, in an
    archive and unpacked beside it, counts once.

    Args:
        roots: The folders.
        layout: Which part of a path is the class, and which the group.

    Returns:
        The clips, sorted by clip_id.

    Raises:
        ValueError: A clip is in no class, two different clips have the same path, or there is no
            clip.
    """
    files = [(place, media) for root in roots for place, media in _media(root)]
    if not files:
        raise ValueError(f"contains no video ({', '.join(sorted(VIDEOS))}) and no JPEG file")
    clips = _without_copies([_make_clip(place, media, layout) for place, media in files])
    if layout.classes is None:
        names = sorted({clip.cls for clip in clips})
        number = {name: label for label, name in enumerate(names)}
        clips = [replace(clip, label=number[clip.cls]) for clip in clips]
    if max(Counter(clip.clip_id for clip in clips).values()) > 1:
        clips = [replace(clip, clip_id=clip.source) for clip in clips]
    return sorted(clips, key=lambda clip: clip.clip_id)


def _without_copies(clips: list[DiscoveredClip]) -> list[DiscoveredClip]:
    """Keep the first of all clips with the same class, group, name and bytes."""
    names = [(clip.cls, clip.group, clip.clip_id) for clip in clips]
    copies, distinct = Counter(names), dict[tuple[Any, ...], DiscoveredClip]()
    for name, clip in zip(names, clips, strict=True):
        distinct.setdefault((*name, _content(clip.media) if copies[name] > 1 else ""), clip)
    source, count = Counter(clip.source for clip in distinct.values()).most_common(1)[0]
    if count > 1:
        raise ValueError(
            f"{source} exists twice, as a file and in an archive, with different contents"
        )
    return list(distinct.values())


def _content(media: Media) -> str:
    try:
        return media.digest()
    except OSError:  # Decoding will report that the clip cannot be read.
        return ""


def _media(root: Path) -> Iterator[tuple[Place, Media]]:
    entered = {root.resolve()}
    for folder, folders, names in os.walk(root, followlinks=True):
        here = Path(folder)
        folders[:] = _to_enter(here, folders, entered)
        place = (root.resolve().name, *here.relative_to(root).parts)
        names = [name for name in names if not name.startswith(HIDDEN)]
        for name in sorted(names):
            if Path(name).suffix.lower() in VIDEOS:
                yield (*place, name), VideoFile(here / name)
        pictures = [name for name in names if Path(name).suffix.lower() in PICTURES]
        if pictures:
            yield place, JpegFiles(tuple(here / name for name in sorted(pictures, key=_natural)))


def _to_enter(here: Path, folders: list[str], entered: set[Path]) -> list[str]:
    """Choose the folders to visit, links last and each folder once, so that links end."""
    chosen = []
    for name in sorted(folders, key=lambda name: ((here / name).is_symlink(), name)):
        real = (here / name).resolve()
        if not IGNORED.fullmatch(name) and real not in entered:
            entered.add(real)
            chosen.append(name)
    return chosen


def _natural(name: str) -> tuple[Any, ...]:
    """Return a sort key that puts frame_2 before frame_10."""
    parts = re.split(r"(\d+)", name)
    return (*((int(part), part) if part.isdecimal() else part for part in parts),)


def _make_clip(place: Place, media: Media, layout: Layout) -> DiscoveredClip:
    place = tuple(_printable(name) for name in place)
    source = "/".join(place[1:])
    clip = Path(place[-1]).stem if isinstance(media, VideoFile) else place[-1]
    cls, group = _home(place, layout, clip)
    if layout.classes is None:
        label = 0
    elif cls in layout.classes:
        label = layout.classes.index(cls)
    else:
        known = ", ".join(layout.classes)
        raise ValueError(
            f"{source} is in the folder {cls!r}, which must be one of the classes: {known};"
            " `rankbench data frames NAME PATH` accepts any classes"
        )
    return DiscoveredClip(
        clip_id=clip, cls=cls, label=label, group=group, source=source, media=media
    )


def _printable(name: str) -> str:
    # The name of a file may contain bytes that are not UTF-8, which Parquet cannot store.
    return name.encode(errors="backslashreplace").decode()


def _home(place: Place, layout: Layout, clip: str) -> tuple[str, str]:
    """Return the class and the group of the clip at `place`."""
    if layout.grouped and (len(place) > 3 or (layout.classes is not None and len(place) == 3)):
        return place[-3], place[-2]
    if len(place) < 2 or (layout.grouped and layout.classes is not None):
        wanted = "class/group/clip" if layout.grouped else "class/clip"
        raise ValueError(f"{'/'.join(place)} is in no class: paths of clips must be {wanted}")
    cls = place[-2]
    return cls, layout.group_of(cls, clip) if layout.group_of else clip

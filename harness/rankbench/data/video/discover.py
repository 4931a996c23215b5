"""The clips that lie in a folder, by the places of their files; nothing is decoded."""

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
IGNORED = re.compile(r"annotations?|__macosx|\..*", re.IGNORECASE)  # names of folders
HIDDEN = "."  # begins the names of files that are no clips: a Mac leaves ._a.avi beside a.avi

Place = tuple[str, ...]  # the parts of a path below what was given, the name of that before them


@dataclass(frozen=True, kw_only=True)
class DiscoveredClip:
    """A clip that is there to be decoded.

    `source`: its path below what the user gave; `ordered`: whether its pictures are in the order
    of time; `extras`: further columns of its row, over those that decoding tells.
    """

    clip_id: str
    cls: str
    label: int
    group: str
    source: str
    media: Media
    ordered: bool = True
    extras: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of its file without the suffix, or of its folder."""
        last = PurePosixPath(self.source)
        return last.stem if isinstance(self.media, VideoFile) else last.name

    def row(self, source_hash: str) -> dict[str, Any]:
        """What its row says before it is decoded."""
        names = ("clip_id", "cls", "label", "group", "source", "ordered")
        known = {name: getattr(self, name) for name in names}
        return {**known, **self.extras, "source_hash": source_hash}


def clips_in(roots: Iterable[Path], layout: Layout) -> list[DiscoveredClip]:
    """Every clip below `roots`, sorted by clip_id.

    A clip is a video file or a folder of JPEG files. Its id is its name; where two share a name,
    every id is a path. Folders named Annotation are left out. A clip that lies there twice, in an
    archive and unpacked beside it, counts once.

    Raises ValueError for a clip that lies in no class, for two that differ and have the same path,
    and where there is none.
    """
    files = [(place, media) for root in roots for place, media in _media(root)]
    if not files:
        raise ValueError(f"holds no video ({', '.join(sorted(VIDEOS))}) and no JPEG file")
    clips = _once([_found(place, media, layout) for place, media in files])
    if layout.classes is None:
        number = {name: at for at, name in enumerate(sorted({clip.cls for clip in clips}))}
        clips = [replace(clip, label=number[clip.cls]) for clip in clips]
    if max(Counter(clip.clip_id for clip in clips).values()) > 1:
        clips = [replace(clip, clip_id=clip.source) for clip in clips]
    return sorted(clips, key=lambda clip: clip.clip_id)


def _once(clips: list[DiscoveredClip]) -> list[DiscoveredClip]:
    """The first of those that have the same class, group, name and bytes."""
    names = [(clip.cls, clip.group, clip.clip_id) for clip in clips]
    copies, kept = Counter(names), dict[tuple[Any, ...], DiscoveredClip]()
    for name, clip in zip(names, clips, strict=True):
        kept.setdefault((*name, _content(clip.media) if copies[name] > 1 else ""), clip)
    source, count = Counter(clip.source for clip in kept.values()).most_common(1)[0]
    if count > 1:
        raise ValueError(f"{source} is there twice, as a file and in an archive, and they differ")
    return list(kept.values())


def _content(media: Media) -> str:
    try:
        return media.digest()
    except OSError:  # decoding will tell
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
    """Links come last; one to a folder entered before is left out, so one to its parent ends."""
    chosen = []
    for name in sorted(folders, key=lambda name: ((here / name).is_symlink(), name)):
        real = (here / name).resolve()
        if not IGNORED.fullmatch(name) and real not in entered:
            entered.add(real)
            chosen.append(name)
    return chosen


def _natural(name: str) -> tuple[Any, ...]:
    """frame_2 before frame_10."""
    parts = re.split(r"(\d+)", name)
    return (*((int(part), part) if part.isdecimal() else part for part in parts),)


def _found(place: Place, media: Media, layout: Layout) -> DiscoveredClip:
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
            f"{source} is in the folder {cls!r}, which is no class: they are {known};"
            " `rankbench data frames NAME PATH` takes any classes"
        )
    return DiscoveredClip(
        clip_id=clip, cls=cls, label=label, group=group, source=source, media=media
    )


def _printable(name: str) -> str:
    # A file's name may hold bytes that are no UTF-8; an index and a screen would refuse them.
    return name.encode(errors="backslashreplace").decode()


def _home(place: Place, layout: Layout, clip: str) -> tuple[str, str]:
    """The class and the group of the clip at `place`."""
    if layout.grouped and (len(place) > 3 or (layout.classes is not None and len(place) == 3)):
        return place[-3], place[-2]
    if len(place) < 2 or (layout.grouped and layout.classes is not None):
        wanted = "class/group/clip" if layout.grouped else "class/clip"
        raise ValueError(f"{'/'.join(place)} lies in no class: clips must lie in {wanted}")
    cls = place[-2]
    return cls, layout.group_of(cls, clip) if layout.group_of else clip

"""How a data set lies in its folders: which part of a path is the class, which the group."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

# The order in which UCF11's own names sort; a subset then has the labels of the whole.
UCF11_CLASSES = (
    "basketball",
    "biking",
    "diving",
    "golf_swing",
    "horse_riding",
    "soccer_juggling",
    "swing",
    "tennis_swing",
    "trampoline_jumping",
    "volleyball_spiking",
    "walking",
)
# NAME_ACTION_ and then: visible body part, camera motion, number of people, view, quality, part.
_HMDB51 = re.compile(r"_([a-z]+)_(cm|nm)_np(\d|\d\d|-1)_(fr|ba|le|ri)_(goo|med|bad)_\d+$")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where the clips of a data set lie: class/group/clip, or class/clip if not `grouped`.

    `classes`: every class in the order of labels, None for those found, in the alphabet's;
    `group_of`: the group of a clip from its class and name, where no folder says it.
    """

    grouped: bool = True
    classes: tuple[str, ...] | None = None
    group_of: Callable[[str, str], str] | None = None


def hmdb51_group(cls: str, clip: str) -> str:
    """The source video of an HMDB51 clip: its name before "_CLASS_" and what describes the clip.

    "April_09_brush_hair_u_nm_np1_ba_goo_0" of brush_hair -> "April_09". A name without these
    parts is a group of its own.
    """
    described = _HMDB51.search(clip)
    if described is None:
        return clip
    video = clip[: described.start()]
    return video.removesuffix(f"_{cls}") or video


LAYOUTS = {
    "ucf11": Layout(classes=UCF11_CLASSES),
    "hmdb51": Layout(grouped=False, group_of=hmdb51_group),
    "frames": Layout(),
}

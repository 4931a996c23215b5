"""The folder layouts of data sets: which part of a path is the class, and which the group."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

# In the order of UCF11's folder names. The list is fixed, so that a subset has the same labels.
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
# After NAME_ACTION: visible body part, camera motion, number of people, view, quality, part.
_HMDB51 = re.compile(r"_([a-z]+)_(cm|nm)_np(\d|\d\d|-1)_(fr|ba|le|ri)_(goo|med|bad)_\d+$")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The folder layout of a data set."""

    grouped: bool = True
    """Whether paths are class/group/clip; False means class/clip."""
    classes: tuple[str, ...] | None = None
    """All classes in the order of their labels; None sorts those that are found."""
    group_of: Callable[[str, str], str] | None = None
    """Derives the group from the class and the name of a clip, if no folder defines it."""


def hmdb51_group(cls: str, clip: str) -> str:
    """Return the source video of an HMDB51 clip: its name without the class and the description.

    A name without these parts is a group of its own.

    Example:
        >>> hmdb51_group("brush_hair", "April_09_brush_hair_u_nm_np1_ba_goo_0")
        'April_09'
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

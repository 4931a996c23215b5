"""Lines that several data commands print: overrides that train on a set, and a stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rankbench.common.exit_codes import FAILED
from rankbench.common.terminal import Screen

if TYPE_CHECKING:
    import pyarrow as pa

_STEPS = 6  # time steps in the papers


def classes_override(index: pa.Table) -> str:
    """The override that a study of UCF11 needs for the classes of a set."""
    from rankbench.data.video.layout import UCF11_CLASSES

    classes = 1 + max(index["label"].to_pylist())
    return "" if classes == len(UCF11_CLASSES) else f" task.classes={classes}"


def steps_override(index: pa.Table) -> str:
    """The override that a study needs where clips differ in length: the papers' six frames."""
    counts = index["frames"].to_pylist()
    if min(counts) == max(counts):
        return ""
    return f" task.time_steps={min(_STEPS, *counts)} task.sampling=random"


def split_override(index: pa.Table) -> str:
    """The override that a study of UCF11 needs where each clip is a group of its own."""
    from rankbench.data.split import groups_are_known

    groups, clips = index["group"].to_pylist(), index["clip_id"].to_pylist()
    shared = len(set(groups)) < len(groups) and groups_are_known(groups, clips)
    return "" if shared else " space.shared.task.split=[clip]"


def stopped(console: Screen) -> int:
    """Report that the command was stopped."""
    console.print("stopped; the same command goes on where it stopped")
    return FAILED

"""Messages of several data commands: overrides to train on a set, and a note on stopping."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rankbench.common.exit_codes import FAILED
from rankbench.common.terminal import Screen

if TYPE_CHECKING:
    import pyarrow as pa

_STEPS = 6  # Time steps in the papers.


def classes_override(index: pa.Table) -> str:
    """Return the override for the number of classes; empty if the set has the classes of UCF11."""
    from rankbench.data.video.layout import UCF11_CLASSES

    classes = 1 + max(index["label"].to_pylist())
    return "" if classes == len(UCF11_CLASSES) else f" task.classes={classes}"


def steps_override(index: pa.Table) -> str:
    """Return the override for sampling time steps; empty if all clips have equal length.

    The papers sample six frames.
    """
    counts = index["frames"].to_pylist()
    if min(counts) == max(counts):
        return ""
    return f" task.time_steps={min(_STEPS, *counts)} task.sampling=random"


def split_override(index: pa.Table) -> str:
    """Return the override that splits by clip; empty if the groups of clips are known."""
    from rankbench.data.split import groups_are_known

    groups, clips = index["group"].to_pylist(), index["clip_id"].to_pylist()
    shared = len(set(groups)) < len(groups) and groups_are_known(groups, clips)
    return "" if shared else " space.shared.task.split=[clip]"


def stopped(console: Screen) -> int:
    """Print that the command was stopped, and return its exit code."""
    console.print("stopped; the same command goes on where it stopped")
    return FAILED

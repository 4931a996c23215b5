"""Tasks: what a layer learns, or what is measured of it. TASKS lists them by name."""

from __future__ import annotations

from rankbench.tasks.base import Context, Row, RunCost, Task
from rankbench.tasks.caption.task import Caption
from rankbench.tasks.clips.action import Action
from rankbench.tasks.clips.features import Features
from rankbench.tasks.clips.motion import Motion
from rankbench.tasks.draw.task import Draw
from rankbench.tasks.profile import Profile
from rankbench.tasks.recovery.task import Recovery

TASKS: dict[str, type[Task]] = {
    "recovery": Recovery,
    "action": Action,
    "features": Features,
    "motion": Motion,
    "profile": Profile,
    "draw": Draw,
    "caption": Caption,
}

__all__ = ["TASKS", "Context", "Row", "RunCost", "Task"]

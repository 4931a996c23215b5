"""The table of tasks; one file each."""

from __future__ import annotations

from harness.tasks.action import Action
from harness.tasks.base import Context, Row, Task, Work
from harness.tasks.caption import Caption
from harness.tasks.draw import Draw
from harness.tasks.features import Features
from harness.tasks.motion import Motion
from harness.tasks.profile import Profile
from harness.tasks.recovery import Recovery

TASKS: dict[str, type[Task]] = {
    "recovery": Recovery,
    "action": Action,
    "features": Features,
    "motion": Motion,
    "profile": Profile,
    "draw": Draw,
    "caption": Caption,
}

__all__ = ["TASKS", "Context", "Row", "Task", "Work"]

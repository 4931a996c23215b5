"""When to stop early: a metric that a training is watched by has not improved for a while."""

from __future__ import annotations

import math
from typing import Any

Monitor = tuple[str, str]  # a key of a record; "minimize" or "maximize"


class Patience:
    """Counts the records since the best one, by `monitor`; a value that is no number is the worst.

    `most`: records without improvement after which training ends, None for never.
    """

    def __init__(self, most: int | None, monitor: Monitor | None) -> None:
        if most is not None and monitor is None:
            raise ValueError(f"patience {most} needs a metric to watch, got none")
        self.most, self.monitor = most, monitor
        self.best, self.since = -math.inf, 0

    def ends_with(self, record: dict[str, Any]) -> bool:
        """Whether training ends with this record; to be asked of every one, in order."""
        if self.most is None or self.monitor is None:
            return False
        key, direction = self.monitor
        value = record[key] if direction == "maximize" else -record[key]
        self.since = 0 if value > self.best else self.since + 1
        if self.since == 0:
            self.best = value
        return self.since >= self.most

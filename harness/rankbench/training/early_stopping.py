"""Early stopping: end training when a metric has not improved for a number of records."""

from __future__ import annotations

import math
from typing import Any

Monitor = tuple[str, str]  # A key of the records, and "minimize" or "maximize".


class Patience:
    """Counter of the records since the last improvement.

    NaN counts as no improvement.

    Args:
        most: Records without improvement after which training ends; None for never.
        monitor: The metric to watch, and its direction.

    Raises:
        ValueError: If `most` is given without a monitor.
    """

    def __init__(self, most: int | None, monitor: Monitor | None) -> None:
        if most is not None and monitor is None:
            raise ValueError(f"patience {most} needs a metric to watch, got none")
        self.most, self.monitor = most, monitor
        self.best, self.since = -math.inf, 0

    def ends_with(self, record: dict[str, Any]) -> bool:
        """Return whether training should end after `record`. Call it once for each, in order."""
        if self.most is None or self.monitor is None:
            return False
        key, direction = self.monitor
        value = record[key] if direction == "maximize" else -record[key]
        self.since = 0 if value > self.best else self.since + 1
        if self.since == 0:
            self.best = value
        return self.since >= self.most

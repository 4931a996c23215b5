"""What a task asks of clips, wherever they come from.

Letters: c clips, n rows (frames of all clips), f features of a frame.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


class Clips(Protocol):
    """Clips in the order of their clip_id; clip k has rows first[k] to first[k] + count[k] - 1."""

    @property
    def rows(self) -> NDArray[Any]:
        """Every frame (n, f), on disk."""

    @property
    def first(self) -> Counts:
        """The row of each clip's first frame (c,)."""

    @property
    def count(self) -> Counts:
        """The number of each clip's frames (c,)."""

    @property
    def data_hash(self) -> str:
        """16 hex digits of what the clips were made from."""

    @property
    def ordered(self) -> bool:
        """Whether the order of time is known of every clip."""

    def __len__(self) -> int:
        """The number of clips."""

    def column(self, name: str) -> NDArray[Any]:
        """One value a clip of a column (c,).

        Raises ValueError for a column that is not there or that some clip has no value in.
        """

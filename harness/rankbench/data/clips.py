"""The interface of a collection of clips, which tasks use for stored, decoded and generated clips.

Letters: c clips, n rows (frames of all clips), f features of a frame.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


class Clips(Protocol):
    """Clips sorted by clip_id; clip k has the rows first[k] to first[k] + count[k] - 1."""

    @property
    def rows(self) -> NDArray[Any]:
        """All frames of all clips (n, f), usually memory-mapped."""

    @property
    def first(self) -> Counts:
        """Row of each clip's first frame (c,)."""

    @property
    def count(self) -> Counts:
        """Number of frames of each clip (c,)."""

    @property
    def data_hash(self) -> str:
        """16 hex digits that identify the data."""

    @property
    def ordered(self) -> bool:
        """Whether the frames of every clip are known to be in the order of time."""

    def __len__(self) -> int:
        """Return the number of clips."""

    def column(self, name: str) -> NDArray[Any]:
        """Return a column with one value per clip (c,).

        Raises:
            ValueError: The column does not exist, or a clip has no value in it.
        """

"""Read the clips of a stored set for a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rankbench.data.clips import Counts
from rankbench.data.sets import catalog as sets
from rankbench.data.where import Where, matching


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredClips:
    """The clips of a stored set that a task uses; implements `Clips`."""

    name: str
    """Name of the set."""
    rows: NDArray[Any]
    """All frames of all clips of the set (n, f), used or not."""
    index: pa.Table
    """One row per clip that is used."""
    data_hash: str
    """16 hex digits that identify the data."""

    def __len__(self) -> int:
        return len(self.index)

    @property
    def first(self) -> Counts:
        """Row of each clip's first frame."""
        return self.column("first")

    @property
    def count(self) -> Counts:
        """Number of frames of each clip."""
        return self.column("frames")

    @property
    def ordered(self) -> bool:
        """Whether the frames of every clip are known to be in the order of time."""
        return bool(self.column("ordered").all())

    def column(self, name: str) -> NDArray[Any]:
        """Return a column with one value per clip.

        Raises:
            ValueError: The column does not exist, or a clip has no value in it.
        """
        if name not in self.index.column_names:
            known = ", ".join(self.index.column_names)
            raise ValueError(f"the set {self.name} has no column {name!r}; its columns: {known}")
        column = self.index[name]
        if column.null_count:
            clip = self.index["clip_id"][column.is_null().to_pylist().index(True)]
            raise ValueError(f"column {name!r} is empty in clip {clip}")
        values: NDArray[Any] = np.asarray(column.to_pylist())
        return values


def load_stored(name: str, kind: str, wanted: Mapping[str, int], where: Where) -> StoredClips:
    """Load the clips of a stored set.

    Args:
        name: Name of the set.
        kind: Kind that the set must have, such as "frames".
        wanted: Settings of the task that must agree with the set, such as {"height": 120}.
        where: Columns and values by which clips are selected.

    Raises:
        ValueError: The set does not exist, is damaged, or has another kind or size.
    """
    rows, index = sets.open_set(name)
    metadata = sets.metadata(index)
    if metadata["kind"] != kind:
        raise ValueError(f"the set {name} must contain {kind}, it contains {metadata['kind']}")
    stored = {"size": metadata["shape"][1], **metadata}
    for setting, value in wanted.items():
        if stored[setting] != value:
            raise ValueError(
                f"task.{setting} must be {stored[setting]}, as in the set {name}, got {value}"
            )
    index = index.filter(pa.array(matching(index, where, f"the set {name}")))
    return StoredClips(name=name, rows=rows, index=index, data_hash=metadata["data_hash"])

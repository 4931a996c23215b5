"""Clips of a stored set, as a task reads them."""

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
    """Clips of the set `name`: `rows` of all its clips, `index` of those that are used."""

    name: str
    rows: NDArray[Any]
    index: pa.Table
    data_hash: str

    def __len__(self) -> int:
        return len(self.index)

    @property
    def first(self) -> Counts:
        """The row of each clip's first frame."""
        return self.column("first")

    @property
    def count(self) -> Counts:
        """The number of each clip's frames."""
        return self.column("frames")

    @property
    def ordered(self) -> bool:
        """Whether the order of time is known of every clip."""
        return bool(self.column("ordered").all())

    def column(self, name: str) -> NDArray[Any]:
        """One value a clip; ValueError for a column that is not there, or empty for a clip."""
        if name not in self.index.column_names:
            known = ", ".join(self.index.column_names)
            raise ValueError(f"the set {self.name} has no column {name!r}; it has: {known}")
        column = self.index[name]
        if column.null_count:
            clip = self.index["clip_id"][column.is_null().to_pylist().index(True)]
            raise ValueError(f"column {name!r} is empty in clip {clip}")
        values: NDArray[Any] = np.asarray(column.to_pylist())
        return values


def load_stored(name: str, kind: str, wanted: Mapping[str, int], where: Where) -> StoredClips:
    """The clips of the set `name` that match `where`.

    `wanted`: setting of the task -> what it says, which the set must agree with.

    Raises ValueError for a set that is not there or is damaged, and one of another kind or size.
    """
    rows, index = sets.open_set(name)
    told = sets.metadata(index)
    if told["kind"] != kind:
        raise ValueError(f"the set {name} must hold {kind}, it holds {told['kind']}")
    held = {"size": told["shape"][1], **told}
    for setting, value in wanted.items():
        if held[setting] != value:
            raise ValueError(
                f"task.{setting} must be {held[setting]}, as in the set {name}, got {value}"
            )
    index = index.filter(pa.array(matching(index, where, f"the set {name}")))
    return StoredClips(name=name, rows=rows, index=index, data_hash=told["data_hash"])

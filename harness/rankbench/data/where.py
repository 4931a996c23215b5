"""Which rows of a table a task asks for, by values of its columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Where = tuple[tuple[str, Any], ...]  # (column, value) pairs that a row must match


def matching(table: pa.Table, where: Where, what: str = "the frames file") -> NDArray[np.bool_]:
    """Whether a row has, in every column named in `where`, the value stated there.

    Raises ValueError, naming `what` has the rows, for another column or value, or where none has.
    """
    matches = np.ones(len(table), dtype=bool)
    for name, value in where:
        if name not in table.column_names:
            known = ", ".join(table.column_names)
            raise ValueError(f"task.where: {what} has no column {name!r}; it has: {known}")
        column = table.column(name)
        try:
            equal = pc.equal(column, pa.scalar(value).cast(column.type))
        except (pa.ArrowException, OverflowError) as error:
            raise ValueError(
                f"task.where: column {name!r} holds {column.type}, which {value!r} is not"
            ) from error
        matches &= equal.fill_null(False).to_numpy()
    if not matches.any():
        chosen = ", ".join(f"{name}={value}" for name, value in where)
        rule = f" with task.where {chosen}" if where else ""
        raise ValueError(f"{what} has no row{rule}")
    return matches

"""Select the rows of a table by the values of columns, for `task.where`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

# Pairs of a column and the value that a row must have in it.
Where = tuple[tuple[str, Any], ...]


def matching(table: pa.Table, where: Where, what: str = "the frames file") -> NDArray[np.bool_]:
    """Return a mask of the rows that have the wanted value in every column of `where`.

    Args:
        table: The rows.
        where: Columns and wanted values.
        what: Name of the table in error messages.

    Raises:
        ValueError: A column does not exist, a value has another type, or no row matches.
    """
    matches = np.ones(len(table), dtype=bool)
    for name, value in where:
        if name not in table.column_names:
            known = ", ".join(table.column_names)
            raise ValueError(f"task.where: {what} has no column {name!r}; its columns: {known}")
        column = table.column(name)
        try:
            equal = pc.equal(column, pa.scalar(value).cast(column.type))
        except (pa.ArrowException, OverflowError) as error:
            raise ValueError(
                f"task.where: the value for column {name!r} must be of type {column.type},"
                f" got {value!r}"
            ) from error
        matches &= equal.fill_null(False).to_numpy()
    if not matches.any():
        chosen = ", ".join(f"{name}={value}" for name, value in where)
        rule = f" with task.where {chosen}" if where else ""
        raise ValueError(f"{what} has no row{rule}")
    return matches

"""Select and describe rows of results for tables and figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from rankbench.analysis.names import LEAST_SQUARES, NAMES

Row = Mapping[str, Any]

# Errors of runs that differ in one of these columns are not comparable, whatever their layers.
CONDITIONS = (
    *("task", "target", "samples", "split", "in_features", "out_features"),
    *("dataset", "time_steps", "sampling", "ordered", "binarise", "permute"),
)


def done(runs: pd.DataFrame, figure: str, *columns: str) -> pd.DataFrame:
    """Select the finished runs with a value in every one of `columns`.

    Args:
        runs: Rows of the `runs` table.
        figure: The name of the caller, for error messages.
        *columns: The columns that must have a value.

    Returns:
        The selected rows with the column `family`: the decomposition, or least_squares for that
        learner.

    Raises:
        ValueError: If a column is missing or no row is left.
    """
    absent = [c for c in ("status", "decomposition", *columns) if c not in runs.columns]
    if absent:
        raise ValueError(f"{figure}: the runs have no column {', '.join(absent)}")
    finished = runs[(runs["status"] == "done").fillna(False)]
    kept = finished.dropna(subset=list(columns))
    if kept.empty:
        raise ValueError(f"{figure}: {_shortage(runs, finished, columns)}")
    kept = kept.copy()
    kinds = [column for column in ("learner", "decomposition") if column in kept.columns]
    kept["family"] = [family(row) for row in records(kept[kinds])]
    return kept


def _shortage(runs: pd.DataFrame, finished: pd.DataFrame, columns: Sequence[str]) -> str:
    if runs.empty:
        return "there are no runs"
    if finished.empty:
        return f"none of {len(runs)} runs has status done"
    empty = [c for c in columns if finished[c].isna().all()]
    return f"none of {len(finished)} finished runs has {' and '.join(empty or columns)}"


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Convert a frame to a list of dicts, one per row, keyed by column."""
    # This equals to_dict("records"), which would take most of the time of drawing a figure.
    names = [str(name) for name in frame.columns]
    columns = [values.tolist() for _, values in frame.items()]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def family(row: Row) -> str:
    """Return the decomposition of a run, or least_squares if its weights were solved for.

    Raises:
        ValueError: If the decomposition is not in NAMES.
    """
    if text(row, "learner") == LEAST_SQUARES:
        return LEAST_SQUARES
    name = text(row, "decomposition")
    if name not in NAMES:
        raise ValueError(f"decomposition must be one of: {', '.join(NAMES)}; got {name!r}")
    return name


def text(row: Row, column: str) -> str:
    """Return an entry of a row as text; "" if it is null or the column is missing."""
    value = row.get(column)
    return "" if value is None or value is pd.NA or value != value else str(value)


def integer(row: Row, column: str) -> int | None:
    """Return an entry of a row as an integer; None if it is null or the column is missing."""
    value = row.get(column)
    return None if value is None or pd.isna(value) else int(value)


def entries(row: Row, column: str) -> tuple[int, ...]:
    """Return a list entry of a row as integers; empty if it is null or the column is missing."""
    value = row.get(column)
    return tuple(int(v) for v in value) if isinstance(value, list | tuple | np.ndarray) else ()


def varying(runs: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Return those of `columns` that have more than one value in `runs`; null counts as a value."""
    here = [c for c in columns if c in runs.columns]
    return [c for c in here if several(runs[c])]


def several(values: Iterable[Any]) -> bool:
    """Return whether there is more than one distinct value; all nulls count as one."""
    return len({None if pd.api.types.is_scalar(v) and pd.isna(v) else v for v in values}) > 1


def evenly(items: Sequence[Any], count: int) -> list[Any]:
    """Choose `count` evenly spaced items, including the first and the last.

    If there are no more than `count` items, all are returned.
    """
    if len(items) <= count:
        return list(items)
    return [items[round(i)] for i in np.linspace(0, len(items) - 1, count)]


def left_out(drawn: pd.DataFrame, runs: pd.DataFrame) -> str:
    """Describe how many runs a figure leaves out and why, or return "" if it shows all.

    Args:
        drawn: The rows that the figure shows.
        runs: All rows.
    """
    if len(drawn) == len(runs):
        return ""
    statuses = runs["status"].value_counts()
    others = [f"{count} {status}" for status, count in statuses.items() if status != "done"]
    lacking = int(statuses.get("done", 0)) - len(drawn)
    if lacking > 0:
        others.append(f"{lacking} without these data")
    note = f" (not drawn: {', '.join(others)})" if others else ""
    return f"{len(drawn)} of {len(runs)} runs{note}"


def one_condition(rows: pd.DataFrame, figure: str) -> None:
    """Check that the errors of all rows are comparable.

    Args:
        rows: Rows of the `runs` table.
        figure: The name of the caller, for error messages.

    Raises:
        ValueError: If a column of CONDITIONS has several values.
    """
    for column in varying(rows, CONDITIONS):
        values = ", ".join(sorted(str(v) for v in rows[column].unique()))
        raise ValueError(f"{figure}: runs of one {column} can be compared, got: {values}")


def at_noise(rows: pd.DataFrame, variance: float = 0.05) -> pd.DataFrame:
    """Select the rows at the noise variance nearest to `variance`.

    All rows are returned if no noise is recorded.
    """
    if "noise" not in rows.columns or rows["noise"].isna().all():
        return rows
    levels = sorted(float(v) for v in rows["noise"].dropna().unique())
    nearest = min(levels, key=lambda level: abs(level - variance))
    return rows[rows["noise"] == nearest]


def condition(rows: pd.DataFrame) -> str:
    """Describe for a title what the rows have in common: target, split, noise and samples."""
    facts = {
        "target": "target {}",
        "split": "{} split",
        "noise": "noise variance {:g}",
        "samples": "{} samples",
    }
    known = [c for c in facts if c in rows.columns and not varying(rows, [c])]
    first = rows.iloc[0]
    words = [facts[c].format(first[c]).replace("_", " ") for c in known if pd.notna(first[c])]
    return ", ".join(words)


def seed_note(points: pd.DataFrame) -> str:
    """Describe what marks and intervals mean, given a summary with the column `seeds`."""
    least, most = int(points["seeds"].min()), int(points["seeds"].max())
    if most == 1:
        return "one seed"
    span = f"{most}" if least == most else f"{least} to {most}"
    return f"mean of {span} seeds, 95% t interval"

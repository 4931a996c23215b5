"""Rows of results, picked for a table or a figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from rankbench.analysis.names import LEAST_SQUARES, NAMES

Row = Mapping[str, Any]

# What makes the errors of two runs incomparable, whatever their layers are.
CONDITIONS = (
    *("task", "target", "samples", "split", "in_features", "out_features"),
    *("dataset", "time_steps", "sampling", "ordered", "binarise", "permute"),
)


def done(runs: pd.DataFrame, figure: str, *columns: str) -> pd.DataFrame:
    """The rows with status done and a value in every one of `columns`, families named.

    The new column `family` is the decomposition, or least_squares for that learner.

    Raises ValueError, naming `figure` and what is missing, where no row is left.
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
    """The rows of a frame, each a dict by column."""
    # to_dict("records") gives the same and takes most of a figure's time, column by column.
    names = [str(name) for name in frame.columns]
    columns = [values.tolist() for _, values in frame.items()]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def family(row: Row) -> str:
    """The decomposition of a run, or least_squares where the weights were solved for.

    Raises ValueError for a decomposition that has no name in NAMES.
    """
    if text(row, "learner") == LEAST_SQUARES:
        return LEAST_SQUARES
    name = text(row, "decomposition")
    if name not in NAMES:
        raise ValueError(f"decomposition must be one of: {', '.join(NAMES)}; got {name!r}")
    return name


def text(row: Row, column: str) -> str:
    """A text entry of a row, empty where it is null or the column is not there."""
    value = row.get(column)
    return "" if value is None or value is pd.NA or value != value else str(value)


def integer(row: Row, column: str) -> int | None:
    """An integer entry of a row, None where it is null or the column is not there."""
    value = row.get(column)
    return None if value is None or pd.isna(value) else int(value)


def entries(row: Row, column: str) -> tuple[int, ...]:
    """A list entry of a row, empty where it is null or the column is not there."""
    value = row.get(column)
    return tuple(int(v) for v in value) if isinstance(value, list | tuple | np.ndarray) else ()


def varying(runs: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Those of `columns` with more than one value in `runs`; null is a value."""
    here = [c for c in columns if c in runs.columns]
    return [c for c in here if several(runs[c])]


def several(values: Iterable[Any]) -> bool:
    """Whether there is more than one value; nulls count as one."""
    return len({None if pd.api.types.is_scalar(v) and pd.isna(v) else v for v in values}) > 1


def evenly(items: Sequence[Any], count: int) -> list[Any]:
    """`count` of `items` with even steps between them, first and last included."""
    if len(items) <= count:
        return list(items)
    return [items[round(i)] for i in np.linspace(0, len(items) - 1, count)]


def left_out(drawn: pd.DataFrame, runs: pd.DataFrame) -> str:
    """'n of m runs: the others ...' where `drawn` leaves rows of `runs` out, else nothing."""
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
    """Raise ValueError where `rows` mix conditions under which errors cannot be compared."""
    for column in varying(rows, CONDITIONS):
        values = ", ".join(sorted(str(v) for v in rows[column].unique()))
        raise ValueError(f"{figure}: runs of one {column} can be compared, got: {values}")


def at_noise(rows: pd.DataFrame, variance: float = 0.05) -> pd.DataFrame:
    """The rows at the noise variance nearest to `variance`; all where noise is not recorded."""
    if "noise" not in rows.columns or rows["noise"].isna().all():
        return rows
    levels = sorted(float(v) for v in rows["noise"].dropna().unique())
    nearest = min(levels, key=lambda level: abs(level - variance))
    return rows[rows["noise"] == nearest]


def condition(rows: pd.DataFrame) -> str:
    """What the rows have in common, for a title: task's target, split, noise, size."""
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
    """What marks and intervals stand for, given the column `seeds` of a summary."""
    least, most = int(points["seeds"].min()), int(points["seeds"].max())
    if most == 1:
        return "one seed"
    span = f"{most}" if least == most else f"{least} to {most}"
    return f"mean of {span} seeds, 95% t interval"

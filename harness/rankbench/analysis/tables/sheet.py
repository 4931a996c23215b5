"""Define a table that has both numbers and formatted text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

NOTHING = "-"


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A table as numbers and as formatted text."""

    title: str
    """The heading."""
    numbers: pd.DataFrame
    """The data behind the table, one value per cell, for CSV files."""
    shown: pd.DataFrame
    """The formatted table, as printed on a terminal or in Markdown."""
    notes: tuple[str, ...]
    """Sentences to print below the table."""


def or_nothing(value: Any, how: str | Callable[[float], str]) -> str:
    """Format a value, or return a dash if it is missing.

    Args:
        value: A number or text; None and NaN count as missing.
        how: A format string such as "{:.2f}", or a function that takes a float.
    """
    if value is None or pd.isna(value):
        return NOTHING
    return how.format(value) if isinstance(how, str) else how(float(value))

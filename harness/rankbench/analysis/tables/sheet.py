"""A table as numbers and as people read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

NOTHING = "-"


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A table: `numbers` one value a cell, `shown` as text for people, `notes` below it."""

    title: str
    numbers: pd.DataFrame
    shown: pd.DataFrame
    notes: tuple[str, ...]


def or_nothing(value: Any, how: str | Callable[[float], str]) -> str:
    """`value` in a format or by a function, a dash where there is none."""
    if value is None or pd.isna(value):
        return NOTHING
    return how.format(value) if isinstance(how, str) else how(float(value))

"""Checks of single settings.

Each check takes the setting's name as a person writes it, because its error names the setting, the
rule, the value it got and the valid values.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import Any


def positive_int(name: str, value: Any) -> None:
    """Raise ValueError unless `value` is an integer of at least 1. A bool is not an integer."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a positive integer, got {value!r}")


def check_int_at_least(name: str, value: Any, least: int) -> None:
    """Raise ValueError unless `value` is an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")


def positive_ints(name: str, values: Any, length: int | None = None) -> None:
    """Raise ValueError unless `values` is a non-empty tuple of positive integers.

    Args:
        name: The setting's name.
        values: The value to check.
        length: The number of entries it must have; None accepts any number.
    """
    if not isinstance(values, tuple) or not values:
        raise ValueError(f"{name} must be a non-empty list of positive integers, got {values!r}")
    for value in values:
        positive_int(f"every entry of {name}", value)
    if length is not None and len(values) != length:
        raise ValueError(f"{name} must have {length} entries, got {len(values)}: {list(values)}")


def number(name: str, value: Any, low: float, high: float, *, open_low: bool = False) -> None:
    """Raise ValueError unless `value` is a finite number from `low` to `high`.

    Args:
        name: The setting's name.
        value: The value to check. A bool is not a number.
        low: The smallest valid value.
        high: The largest valid value; infinity for no upper bound.
        open_low: Exclude `low` itself.
    """
    real = isinstance(value, int | float) and not isinstance(value, bool)
    if real and math.isfinite(value) and low <= value <= high and not (open_low and value == low):
        return
    start, end = "(" if open_low else "[", ")" if math.isinf(high) else "]"
    raise ValueError(f"{name} must be a number in {start}{low:g}, {high:g}{end}, got {value!r}")


def one_of(name: str, value: Any, choices: Iterable[Any]) -> None:
    """Raise ValueError unless `value` is one of `choices`; the error suggests a close spelling."""
    valid = list(choices)
    if value in valid:
        return
    near = difflib.get_close_matches(str(value), [str(choice) for choice in valid], n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    shown = ", ".join(str(choice) for choice in valid)
    raise ValueError(f"{name} must be one of: {shown}; got {value!r}{hint}")

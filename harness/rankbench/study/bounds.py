"""Bounds on columns of `runs`: how far a value is beyond one, and how a person reads it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rankbench.common.checks import number

# A value that is not known cannot be shown to hold; finite, so that any reader of JSON takes it.
_UNKNOWN = 1e9


@dataclass(frozen=True, kw_only=True)
class Bound:
    """The values of `column` from `low` to `high`, both included; None leaves that end open.

    Raises ValueError for an end that is no number, for none at all, and for low above high.
    """

    column: str
    low: float | None = None
    high: float | None = None
    where: str = "search.constraints"

    def __post_init__(self) -> None:
        name = f"{self.where}.{self.column}"
        ends = {"low": self.low, "high": self.high}
        known = {end: value for end, value in ends.items() if value is not None}
        if not known:
            raise ValueError(f"{name} must be a number, the most it may be, or have low or high")
        for end, value in known.items():
            number(name if end == "high" else f"{name}.{end}", value, -math.inf, math.inf)
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"{name}: low must not be above high, got {self.low} and {self.high}")

    @staticmethod
    def parse(where: str, node: Any) -> tuple[Bound, ...]:
        """Read a mapping of columns to bounds: a number is the most, {low, high} are both ends.

        Raises ValueError for anything else.
        """
        if not isinstance(node, Mapping):
            raise ValueError(f"{where} must map columns of runs to bounds, got {node!r}")
        found = []
        for column, value in node.items():
            ends = value if isinstance(value, Mapping) else {"high": value}
            if set(ends) - {"low", "high"}:
                raise ValueError(
                    f"{where}.{column} must be a number or have low and high; got {dict(ends)}"
                )
            found.append(Bound(column=column, where=where, **ends))
        return tuple(found)

    def plain(self) -> dict[str, float]:
        """The ends there are, as plain JSON values."""
        ends = {"low": self.low, "high": self.high}
        return {end: value for end, value in ends.items() if value is not None}

    def violation(self, value: float | None) -> float:
        """How far `value` is beyond, in shares of the end it misses; 0 or less is within.

        A value that is not known is far beyond.
        """
        if value is None or math.isnan(value):
            return _UNKNOWN
        shares = []
        if self.high is not None:
            shares.append((value - self.high) / (abs(self.high) or 1.0))
        if self.low is not None:
            shares.append((self.low - value) / (abs(self.low) or 1.0))
        return min(max(shares), _UNKNOWN)

    def __str__(self) -> str:
        ends = [f"at least {self.low:,.12g}"] if self.low is not None else []
        ends += [f"at most {self.high:,.12g}"] if self.high is not None else []
        return f"{self.column} {' and '.join(ends)}"

"""Bounds on columns of the table `runs`, for the limits and constraints of a search."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rankbench.common.checks import number

# The violation of a missing value. It is finite, because JSON has no infinity.
_UNKNOWN = 1e9


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A closed interval that the values of a column must lie in.

    Raises:
        ValueError: An end is not a number, both are missing, or `low` is above `high`.

    Example:
        >>> str(Bound(column="num_params", high=3000))
        'num_params at most 3,000'
    """

    column: str
    """Name of a column of `runs`."""
    low: float | None = None
    """Smallest allowed value, in the column's unit; None for no lower end."""
    high: float | None = None
    """Largest allowed value, in the column's unit; None for no upper end."""
    where: str = "search.constraints"
    """The setting that the bound comes from, named in error messages."""

    def __post_init__(self) -> None:
        name = f"{self.where}.{self.column}"
        ends = {"low": self.low, "high": self.high}
        known = {end: value for end, value in ends.items() if value is not None}
        if not known:
            raise ValueError(
                f"{name} must be a number (an upper bound) or have low and/or high; got neither"
            )
        for end, value in known.items():
            number(name if end == "high" else f"{name}.{end}", value, -math.inf, math.inf)
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"{name}: low must not be above high, got {self.low} and {self.high}")

    @staticmethod
    def parse(where: str, node: Any) -> tuple[Bound, ...]:
        """Parse a mapping of columns to bounds.

        Args:
            where: The setting that holds the mapping, named in error messages.
            node: Column names, each with a number (an upper bound) or `{low: ..., high: ...}`.

        Raises:
            ValueError: `node` has another form.
        """
        if not isinstance(node, Mapping):
            raise ValueError(f"{where} must map columns of runs to bounds, got {node!r}")
        bounds = []
        for column, value in node.items():
            ends = value if isinstance(value, Mapping) else {"high": value}
            if set(ends) - {"low", "high"}:
                raise ValueError(
                    f"{where}.{column} must be a number (an upper bound) or have low and/or high; "
                    f"got {dict(ends)}"
                )
            bounds.append(Bound(column=column, where=where, **ends))
        return tuple(bounds)

    def plain(self) -> dict[str, float]:
        """Return the ends that are set, as a dict for JSON."""
        ends = {"low": self.low, "high": self.high}
        return {end: value for end, value in ends.items() if value is not None}

    def violation(self, value: float | None) -> float:
        """Return how far `value` is outside, relative to the end that it exceeds.

        Returns:
            0 or less for a value within the bound, and 1e9 for None or NaN.

        Example:
            >>> Bound(column="num_params", high=1000).violation(1500)
            0.5
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

"""The settings of a recurrent cell, without torch; modules.py has its module."""

from __future__ import annotations

from dataclasses import dataclass

from rankbench.common.checks import one_of, positive_int

CELLS: dict[str, int] = {"rnn": 1, "gru": 3, "lstm": 4}  # name -> number of gates


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The settings of a recurrent cell.

    Raises:
        ValueError: If the name is unknown or the hidden size is not a positive integer.

    Example:
        >>> Cell(name="gru", hidden_size=64).gates
        3
    """

    name: str = "lstm"
    """`rnn`, `gru` or `lstm`."""
    hidden_size: int = 256
    """Number of hidden units, at least 1."""

    def __post_init__(self) -> None:
        one_of("cell.name", self.name, CELLS)
        positive_int("cell.hidden_size", self.hidden_size)

    @property
    def gates(self) -> int:
        """Number of gates, which is the number of input-map outputs for each hidden unit."""
        return CELLS[self.name]

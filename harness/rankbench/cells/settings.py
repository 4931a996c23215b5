"""Which recurrent cell: its settings, without its module; see recurrent.py."""

from __future__ import annotations

from dataclasses import dataclass

from rankbench.common.checks import one_of, positive_int

CELLS: dict[str, int] = {"rnn": 1, "gru": 3, "lstm": 4}  # name -> gates


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Which cell: a `name` in CELLS, and the size of its hidden state.

    Raises ValueError for an unknown name or a size below 1.
    """

    name: str = "lstm"
    hidden_size: int = 256

    def __post_init__(self) -> None:
        one_of("cell.name", self.name, CELLS)
        positive_int("cell.hidden_size", self.hidden_size)

    @property
    def gates(self) -> int:
        """Outputs of the input map for each hidden unit."""
        return CELLS[self.name]

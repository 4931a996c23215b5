"""A matrix of low rank as the product of two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rankbench.common.checks import positive_int
from rankbench.layers.base import Layer
from rankbench.layers.network import Core


@dataclass(frozen=True, kw_only=True)
class LowRank(Layer):
    """W = B A, with A (r, i1, ..) and B (j1, .., r).

    Parameters: rank * (I + J).
    """

    name: ClassVar[str] = "low_rank"
    RANKS: ClassVar[tuple[str, ...]] = ("rank",)
    PAIRED: ClassVar[bool] = False

    rank: int

    def __post_init__(self) -> None:
        super().__post_init__()
        positive_int("rank", self.rank)

    def cores(self) -> tuple[Core, ...]:
        return Core("A", ("r", *self.in_indices)), Core("B", (*self.out_indices, "r"))

    def rank_sizes(self) -> dict[str, int]:
        return {"r": self.rank}

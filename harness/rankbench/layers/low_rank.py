"""Low-rank factorisation: a matrix as the product of two thinner ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rankbench.common.checks import positive_int
from rankbench.layers.base import Layer
from rankbench.layers.network import Core


@dataclass(frozen=True, kw_only=True)
class LowRank(Layer):
    """A low-rank layer: W = B A with A (r, i1, ..) and B (j1, .., r).

    The number of parameters is rank * (I + J).

    Example:
        >>> LowRank(in_modes=(8,), out_modes=(4,), rank=2).num_params
        24
    """

    name: ClassVar[str] = "low_rank"
    RANKS: ClassVar[tuple[str, ...]] = ("rank",)
    PAIRED: ClassVar[bool] = False

    rank: int
    """Rank of W, r."""

    def __post_init__(self) -> None:
        super().__post_init__()
        positive_int("rank", self.rank)

    def cores(self) -> tuple[Core, ...]:
        return Core("A", ("r", *self.in_indices)), Core("B", (*self.out_indices, "r"))

    def rank_sizes(self) -> dict[str, int]:
        return {"r": self.rank}

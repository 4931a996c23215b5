"""Block-term decomposition: a sum of Tucker decompositions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rankbench.common.checks import positive_int
from rankbench.layers.base import Layer, broadcast_ranks
from rankbench.layers.network import Core


@dataclass(frozen=True, kw_only=True)
class BlockTerm(Layer):
    """W[j, i] = sum_n sum_r G[n, r_1, .., r_d] prod_k A_k[n, i_k, j_k, r_k], n = 1 .. cp_rank.

    `tucker_rank`: one number for all modes, or R_1 .. R_d, the same in every block. Parameters:
    N (sum_k I_k J_k R_k + prod_k R_k), BT Eq. 15. The paper's order is BT Eq. 16, A_1 .. A_d and
    then G, here for all N blocks at once: its intermediates are N times those of one block.
    """

    name: ClassVar[str] = "block_term"
    RANKS: ClassVar[tuple[str, ...]] = ("tucker_rank", "cp_rank")
    PAIRED: ClassVar[bool] = True

    tucker_rank: int | tuple[int, ...]
    cp_rank: int

    def __post_init__(self) -> None:
        super().__post_init__()
        ranks = broadcast_ranks("tucker_rank", self.tucker_rank, self.core_order)
        self._normalise("tucker_rank", ranks)
        positive_int("cp_rank", self.cp_rank)

    def cores(self) -> tuple[Core, ...]:
        block, *ranks = self.rank_sizes()
        modes = zip(self.in_indices, self.out_indices, ranks, strict=True)
        factors = tuple(Core(f"A{k}", (block, *indices)) for k, indices in enumerate(modes, 1))
        return (*factors, Core("G", (block, *ranks)))

    def rank_sizes(self) -> dict[str, int]:
        tucker_ranks = self.ranks[:-1]
        return {"n": self.cp_rank} | {f"r{k}": rank for k, rank in enumerate(tucker_ranks, 1)}

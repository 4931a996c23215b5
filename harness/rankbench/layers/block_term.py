"""Block-term decomposition: a sum of Tucker decompositions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rankbench.common.checks import positive_int
from rankbench.layers.base import Layer, broadcast_ranks
from rankbench.layers.network import Core


@dataclass(frozen=True, kw_only=True)
class BlockTerm(Layer):
    """A block-term layer: W is the sum of N Tucker decompositions of the same ranks.

    W[j, i] = sum_n sum_r G[n, r_1, .., r_d] prod_k A_k[n, i_k, j_k, r_k] with n = 1 .. N. The
    number of parameters is N (sum_k I_k J_k R_k + prod_k R_k) (BT Eq. 15).

    The paper contracts A_1 .. A_d and then G (BT Eq. 16), one block after the other. Here all N
    blocks are contracted at once, so intermediates are N times as large as those of one block.

    Example:
        >>> layer = BlockTerm(in_modes=(8, 20, 20, 18), out_modes=(16, 4, 4, 4), tucker_rank=2,
        ...                   cp_rank=2)
        >>> layer.num_params, round(layer.compression_ratio)
        (1472, 40070)
    """

    name: ClassVar[str] = "block_term"
    RANKS: ClassVar[tuple[str, ...]] = ("tucker_rank", "cp_rank")
    PAIRED: ClassVar[bool] = True

    tucker_rank: int | tuple[int, ...]
    """Ranks R_1 .. R_d, the same in every block; one number applies to all modes."""
    cp_rank: int
    """Number of block terms, N."""

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

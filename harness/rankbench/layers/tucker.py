"""Tucker decomposition: one core that correlates the factors of all modes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rankbench.layers.base import Layer, broadcast_ranks
from rankbench.layers.network import Core


@dataclass(frozen=True, kw_only=True)
class Tucker(Layer):
    """A Tucker layer: one factor for each pair of modes, and a core that joins the factors.

    W[j, i] = sum_r G[r_1, .., r_d] prod_k A_k[i_k, j_k, r_k] (BT Eq. 10 with N = 1). The number of
    parameters is sum_k I_k J_k R_k + prod_k R_k. The paper contracts A_1 .. A_d and then G (BT
    Eq. 16).

    Example:
        >>> Tucker(in_modes=(4, 4), out_modes=(2, 2), tucker_rank=3).num_params
        57
    """

    name: ClassVar[str] = "tucker"
    RANKS: ClassVar[tuple[str, ...]] = ("tucker_rank",)
    PAIRED: ClassVar[bool] = True

    tucker_rank: int | tuple[int, ...]
    """Ranks R_1 .. R_d; one number applies to all modes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        ranks = broadcast_ranks("tucker_rank", self.tucker_rank, self.core_order)
        self._normalise("tucker_rank", ranks)

    def cores(self) -> tuple[Core, ...]:
        ranks = tuple(self.rank_sizes())
        modes = zip(self.in_indices, self.out_indices, ranks, strict=True)
        factors = tuple(Core(f"A{k}", indices) for k, indices in enumerate(modes, 1))
        return (*factors, Core("G", ranks))

    def rank_sizes(self) -> dict[str, int]:
        return {f"r{k}": rank for k, rank in enumerate(self.ranks, 1)}

"""Canonical polyadic decomposition: a sum of Kronecker products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rankbench.common.checks import positive_int
from rankbench.layers.base import Layer
from rankbench.layers.network import Core


@dataclass(frozen=True, kw_only=True)
class CP(Layer):
    """A canonical polyadic (CP) layer: W is a sum of N Kronecker products.

    W[j, i] = sum_n prod_k A_k[n, i_k, j_k] with n = 1 .. N. The number of parameters is
    N sum_k I_k J_k; the terms have no weights of their own.

    Example:
        >>> CP(in_modes=(4, 4), out_modes=(2, 2), cp_rank=3).num_params
        48
    """

    name: ClassVar[str] = "cp"
    RANKS: ClassVar[tuple[str, ...]] = ("cp_rank",)
    PAIRED: ClassVar[bool] = True

    cp_rank: int
    """Number of terms, N."""

    def __post_init__(self) -> None:
        super().__post_init__()
        positive_int("cp_rank", self.cp_rank)

    def cores(self) -> tuple[Core, ...]:
        modes = zip(self.in_indices, self.out_indices, strict=True)
        return tuple(Core(f"A{k}", ("n", i, j)) for k, (i, j) in enumerate(modes, 1))

    def rank_sizes(self) -> dict[str, int]:
        return {"n": self.cp_rank}

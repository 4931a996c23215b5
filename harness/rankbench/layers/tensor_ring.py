"""Tensor ring: a closed chain of cores, one for each input mode and one for each output mode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rankbench.layers.base import Layer, broadcast_ranks
from rankbench.layers.network import Core


@dataclass(frozen=True, kw_only=True)
class TensorRing(Layer):
    """A tensor-ring layer: W is a closed chain of n input cores and m output cores.

    W[j, i] = sum_r prod_k G_k[r_{k-1}, i_k, r_k] prod_k G_{n+k}[r_{n+k-1}, j_k, r_{n+k}] with
    r_{n+m} = r_0 (TR Eq. 5). The numbers of modes n and m may differ. The number of parameters is
    the denominator of TR Eq. 7. The paper contracts the input cores and then the output cores (TR
    Eq. 11).

    Example:
        >>> TensorRing(in_modes=(4, 4), out_modes=(2, 2, 2), tr_ranks=3).num_params
        126
    """

    name: ClassVar[str] = "tensor_ring"
    RANKS: ClassVar[tuple[str, ...]] = ("tr_ranks",)
    PAIRED: ClassVar[bool] = False

    tr_ranks: int | tuple[int, ...]
    """Ranks R_0 .. R_{n+m-1}; one number applies to all of them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        cores = len(self.in_modes) + len(self.out_modes)
        self._normalise("tr_ranks", broadcast_ranks("tr_ranks", self.tr_ranks, cores))

    def cores(self) -> tuple[Core, ...]:
        left = tuple(self.rank_sizes())
        right = (*left[1:], left[0])
        modes = zip(left, self.in_indices + self.out_indices, right, strict=True)
        return tuple(Core(f"G{k}", indices) for k, indices in enumerate(modes, 1))

    def rank_sizes(self) -> dict[str, int]:
        return {f"r{k}": rank for k, rank in enumerate(self.ranks)}

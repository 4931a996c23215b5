"""Tensor train: a chain of cores, each carrying an input mode together with an output mode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rankbench.layers.base import Layer, broadcast_ranks, tupled
from rankbench.layers.network import Core


@dataclass(frozen=True, kw_only=True)
class TensorTrain(Layer):
    """A tensor-train layer: W is a chain of d cores, each with an input and an output mode.

    W[j, i] = sum_r prod_k G_k[r_{k-1}, i_k, j_k, r_k] with R_0 = R_d = 1 (TR Eq. 2). The number of
    parameters is sum_k R_{k-1} I_k J_k R_k. The first and the last core have no dimension for the
    border ranks of size 1. The paper contracts the cores from left to right.

    Example:
        >>> TensorTrain(in_modes=(4, 4), out_modes=(2, 2), tt_ranks=(1, 3, 1)).num_params
        48
    """

    name: ClassVar[str] = "tensor_train"
    RANKS: ClassVar[tuple[str, ...]] = ("tt_ranks",)
    PAIRED: ClassVar[bool] = True

    tt_ranks: int | tuple[int, ...]
    """Ranks R_0 .. R_d, which begin and end with 1; one number applies to all inner ranks."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._normalise("tt_ranks", _chain(self.tt_ranks, self.core_order))

    def cores(self) -> tuple[Core, ...]:
        left = [(), *((f"r{k}",) for k in range(1, self.core_order))]
        right = [*left[1:], ()]
        modes = zip(left, self.in_indices, self.out_indices, right, strict=True)
        return tuple(Core(f"G{k}", (*a, i, j, *b)) for k, (a, i, j, b) in enumerate(modes, 1))

    def rank_sizes(self) -> dict[str, int]:
        return {f"r{k}": rank for k, rank in enumerate(self.ranks[1:-1], 1)}


def _chain(value: Any, d: int) -> tuple[int, ...]:
    """Return R_0 .. R_d; raise ValueError unless R_0 = R_d = 1."""
    if not isinstance(tupled(value), tuple):
        return (1, *broadcast_ranks("tt_ranks", value, d - 1), 1)
    ranks = broadcast_ranks("tt_ranks", value, d + 1)
    if ranks[0] != 1 or ranks[-1] != 1:
        raise ValueError(f"tt_ranks must begin and end with 1, got {list(ranks)}")
    return ranks

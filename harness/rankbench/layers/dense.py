"""The uncompressed matrix, which is the baseline of every comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rankbench.layers.base import Layer
from rankbench.layers.network import Core


@dataclass(frozen=True, kw_only=True)
class Dense(Layer):
    """A dense layer: y = W x with W as its only core.

    The core has the shape (j1, .., i1, ..), which is the (J, I) weight of `torch.nn.Linear`
    reshaped to modes. The number of parameters is I * J.

    Example:
        >>> Dense(in_modes=(8,), out_modes=(4,)).num_params
        32
    """

    name: ClassVar[str] = "dense"
    RANKS: ClassVar[tuple[str, ...]] = ()
    PAIRED: ClassVar[bool] = False

    def cores(self) -> tuple[Core, ...]:
        return (Core("W", self.out_indices + self.in_indices),)

    def rank_sizes(self) -> dict[str, int]:
        return {}

"""The uncompressed matrix, the baseline of every comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rankbench.layers.base import Layer
from rankbench.layers.network import Core


@dataclass(frozen=True, kw_only=True)
class Dense(Layer):
    """y = W x.

    Core: W (j1, .., i1, ..), which is torch.nn.Linear's (J, I) in modes.
    """

    name: ClassVar[str] = "dense"
    RANKS: ClassVar[tuple[str, ...]] = ()
    PAIRED: ClassVar[bool] = False

    def cores(self) -> tuple[Core, ...]:
        return (Core("W", self.out_indices + self.in_indices),)

    def rank_sizes(self) -> dict[str, int]:
        return {}

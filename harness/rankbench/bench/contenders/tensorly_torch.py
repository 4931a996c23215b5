"""Contender tensorly-torch: FactorizedLinear as TT-matrix, and as Tucker and CP."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rankbench.bench.contenders.base import SAME, Contender, quiet, seeded
from rankbench.bench.dense import cp_weight, train_weight, tucker_weight
from rankbench.layers import BlockTerm, Layer, TensorTrain


@dataclass(frozen=True, kw_only=True)
class TensorlyTorch(Contender):
    """tensorly-torch's FactorizedLinear.

    tensorly-torch has no block terms. Block-term layers are compared with Tucker and CP of separate
    input and output modes, with the rank that comes closest to the layer's number of parameters;
    tables label them as computing a different map.
    """

    distribution: str | None = "tensorly-torch"
    package: str | None = "tltorch"
    factorization: str
    """BlockTT (a tensor train of matrices), Tucker or CP."""
    implementation: str = "factorized"
    """factorized contracts the input with the cores; reconstructed builds W first."""

    def supports(self, layer: Layer) -> bool:
        return isinstance(layer, TensorTrain if self.factorization == "BlockTT" else BlockTerm)

    def computes(self, layer: Layer) -> str:
        if self.factorization == "BlockTT":
            return SAME
        rank = self._rank(layer)
        return f"{self.factorization} of separate input and output modes, rank {rank}"

    def build(self, layer: Layer, seed: int, dtype: torch.dtype) -> nn.Module:
        modes = (*layer.out_modes, *layer.in_modes)
        ranks = {
            "BlockTT": list(layer.ranks),
            "Tucker": [self._rank(layer)] * len(modes),
            "CP": self._rank(layer),
        }
        with seeded(seed), quiet():
            linear: nn.Module = self.load(self.package).FactorizedLinear(
                layer.in_modes,
                layer.out_modes,
                bias=False,
                factorization=self.factorization,
                rank=ranks[self.factorization],
                implementation=self.implementation,
            )
        return linear.to(dtype)

    def dense_weight(self, module: nn.Module) -> Tensor:
        linear: Any = module
        weight, outputs = linear.weight, len(linear.out_tensorized_features)
        factors = list(weight.factors)
        if self.factorization == "BlockTT":  # Cores have the shape (r, j, i, s).
            return train_weight([core.transpose(1, 2) for core in factors])
        if self.factorization == "Tucker":
            return tucker_weight(weight.core, factors, outputs)
        return cp_weight(weight.weights, factors, outputs)

    def _rank(self, layer: Layer) -> int:
        """Return the rank whose number of parameters is closest, as a ratio, to the layer's."""
        modes = (*layer.out_modes, *layer.in_modes)

        def distance(rank: int) -> float:
            core = rank ** len(modes) if self.factorization == "Tucker" else rank
            return abs(math.log((sum(modes) * rank + core) / layer.num_params))

        most = max(1, layer.num_params // sum(modes)) + 1
        return min(range(1, most + 1), key=distance)

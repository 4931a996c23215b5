"""Contender torch: the dense map as torch.nn.Linear, the dense LSTM as torch.nn.LSTM."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rankbench.bench.contenders.base import Contender, seeded
from rankbench.bench.maps import GATES
from rankbench.layers import Dense, Layer


@dataclass(frozen=True, kw_only=True)
class TorchDense(Contender):
    """torch's own dense map and LSTM, for comparison with our dense layer."""

    title: str = "torch"

    def version(self) -> str:
        return str(torch.__version__)

    def supports(self, layer: Layer) -> bool:
        return isinstance(layer, Dense)

    def build(self, layer: Layer, seed: int, dtype: torch.dtype) -> nn.Module:
        with seeded(seed):
            return nn.Linear(layer.in_features, layer.out_features, bias=False, dtype=dtype)

    def dense_weight(self, module: nn.Module) -> Tensor:
        assert isinstance(module, nn.Linear)
        return module.weight

    def recurrent(
        self, layer: Layer, module: nn.Module, seed: int, dtype: torch.dtype
    ) -> nn.Module:
        hidden = layer.out_features // GATES
        with seeded(seed):
            return nn.LSTM(layer.in_features, hidden, batch_first=True, dtype=dtype)

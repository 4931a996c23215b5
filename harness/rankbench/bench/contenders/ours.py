"""Contender rankbench: our own layers and cells."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rankbench.bench.contenders.base import Contender
from rankbench.bench.maps import GATES
from rankbench.cells.modules import build_cell
from rankbench.cells.settings import Cell
from rankbench.layers import Layer
from rankbench.layers.linear import CompressedLinear


@dataclass(frozen=True, kw_only=True)
class Rankbench(Contender):
    """Any layer, in the LSTM of `rankbench.cells`."""

    title: str = "rankbench"

    def supports(self, layer: Layer) -> bool:
        return True

    def build(self, layer: Layer, seed: int, dtype: torch.dtype) -> nn.Module:
        return CompressedLinear(layer, seed, dtype)

    def dense_weight(self, module: nn.Module) -> Tensor:
        assert isinstance(module, CompressedLinear)
        return module.to_dense()

    def recurrent(
        self, layer: Layer, module: nn.Module, seed: int, dtype: torch.dtype
    ) -> nn.Module:
        cell = Cell(name="lstm", hidden_size=layer.out_features // GATES)
        return build_cell(cell, layer, seed, dtype)

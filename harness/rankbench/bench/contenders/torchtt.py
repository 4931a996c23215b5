"""Contender torchTT: its LinearLayerTT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rankbench.bench.contenders.base import Contender, quiet, seeded
from rankbench.bench.dense import train_weight
from rankbench.layers import Layer, TensorTrain


@dataclass(frozen=True, kw_only=True)
class TorchTT(Contender):
    """A tensor train, contracted from the first core to the last, with a bias that starts at 0."""

    title: str = "torchTT"
    distribution: str | None = "torchTT"
    package: str | None = "torchtt.nn"

    def supports(self, layer: Layer) -> bool:
        return isinstance(layer, TensorTrain)

    def build(self, layer: Layer, seed: int, dtype: torch.dtype) -> nn.Module:
        modes = list(layer.in_modes), list(layer.out_modes)
        with seeded(seed), quiet():
            linear = self.load(self.package).LinearLayerTT(*modes, list(layer.ranks))
        return InModes(linear.to(dtype))

    def dense_weight(self, module: nn.Module) -> Tensor:
        linear: Any = module.get_submodule("linear")
        # Cores have the shape (r, j, i, s).
        return train_weight([core.transpose(1, 2) for core in linear.cores])


class InModes(nn.Module):
    """Makes a map of tensors in modes accept vectors."""

    def __init__(self, linear: Any) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, x: Float[Tensor, "rows in_features"]) -> Float[Tensor, "rows out_features"]:
        """Return W x + bias for every row."""
        y: Tensor = self.linear(x.reshape(len(x), *self.linear.size_in))
        return y.flatten(1)

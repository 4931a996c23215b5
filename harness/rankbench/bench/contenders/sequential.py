"""A reference: a tensor train as the public TT-RNN experiments compute it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rankbench.bench.contenders.base import Contender
from rankbench.bench.dense import train_weight
from rankbench.layers import Layer, TensorTrain
from rankbench.layers.init import initial_cores


@dataclass(frozen=True, kw_only=True)
class Sequential(Contender):
    """One matrix product and one transposition per core, from the last core to the first."""

    title: str = "sequential, ours in plain torch"

    def supports(self, layer: Layer) -> bool:
        return isinstance(layer, TensorTrain)

    def build(self, layer: Layer, seed: int, dtype: torch.dtype) -> nn.Module:
        assert isinstance(layer, TensorTrain)
        return SequentialTrain(layer, seed, dtype)

    def dense_weight(self, module: nn.Module) -> Tensor:
        assert isinstance(module, SequentialTrain)
        left, right = module.layer.ranks[:-1], module.layer.ranks[1:]
        modes = zip(module.cores, left, module.layer.out_modes, right, strict=True)
        cores = [core.reshape(-1, s, r, j).permute(2, 0, 3, 1) for core, r, j, s in modes]
        return train_weight(cores)


class SequentialTrain(nn.Module):
    """A tensor train that contracts its input with one core after the other (TR Eq. 2).

        y[j] = sum_r prod_k G_k[r_{k-1}, i_k, j_k, r_k] x[i]

    The cores are stored as matrices (i_k r_k, r_{k-1} j_k), with the values that our layer has for
    the same seed.
    """

    def __init__(self, layer: TensorTrain, seed: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.layer = layer
        drawn = initial_cores(layer, seed).values()
        left, right = layer.ranks[:-1], layer.ranks[1:]
        modes = zip(drawn, left, layer.in_modes, layer.out_modes, right, strict=True)
        self.cores = nn.ParameterList(
            core.reshape(r, i, j, s).permute(1, 3, 0, 2).reshape(i * s, r * j).to(dtype)
            for core, r, i, j, s in modes
        )

    def forward(self, x: Float[Tensor, "rows in_features"]) -> Float[Tensor, "rows out_features"]:
        """Return W x for every row; each core moves its output mode to the front."""
        state = x
        for core, out_mode in zip(
            reversed(self.cores), reversed(self.layer.out_modes), strict=True
        ):
            state = (state.reshape(-1, len(core)) @ core).reshape(-1, out_mode).T
        return state.reshape(self.layer.out_features, len(x)).T

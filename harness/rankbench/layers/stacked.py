"""Replicates of one layer as one module: every core carries them as its first dimension.

Letters: k replicates, o output features, i input features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rankbench.layers.base import Layer
from rankbench.layers.contraction.einsum import path_dense, plan_dense
from rankbench.layers.contraction.products import network_of
from rankbench.layers.init import initial_cores


class StackedLinear(nn.Module):
    """The maps W x that CompressedLinear makes of `layer` and each of `seeds`, side by side.

    `cores` holds the parameters by name, replicate k of a core at [k].
    """

    def __init__(
        self,
        layer: Layer,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.layer = layer
        inputs, path = [core.indices for core in layer.cores()], path_dense(layer.network)
        output = layer.out_indices + layer.in_indices
        self._network = network_of(inputs, output, layer.sizes(), path)
        drawn = [initial_cores(layer, seed) for seed in seeds]
        self.cores = nn.ParameterDict(
            (core.name, nn.Parameter(stacked.to(device=device, dtype=dtype)))
            for core in layer.cores()
            for stacked in [torch.stack([cores[core.name] for cores in drawn])]
        )

    def weights(self) -> Float[Tensor, "k ..."]:
        """W of every replicate, its modes (output, then input) not merged: often a strided view."""
        cores = list(self.cores.values())
        if len(cores) == 1:
            return torch.vmap(lambda core: plan_dense(self.layer.network).run([core]))(*cores)
        return self._network.run(cores)

    def to_dense(self) -> Float[Tensor, "k o i"]:
        """W of every replicate, differentiable in the cores, once."""
        return self.weights().reshape(-1, self.layer.out_features, self.layer.in_features)

"""One module that holds several replicates of a layer, to train them side by side.

The replicates are the first dimension of every core.

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
    """The cores of `CompressedLinear(layer, seed)` for several seeds, stacked.

    `cores` holds the parameters by name; entry k of a core is the core of replicate k. The dense
    weights are differentiable in the cores once: second derivatives raise RuntimeError.

    Args:
        layer: The decomposition with its modes and ranks. Its plan and kernel are not used.
        seeds: One seed for each replicate.
        dtype: Type of the parameters.
        device: Device of the parameters; None for torch's default.
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
        """Build W of every replicate with its modes apart: (k, j1, .., i1, ..).

        The result may be a strided view.
        """
        cores = list(self.cores.values())
        if len(cores) == 1:
            return torch.vmap(lambda core: plan_dense(self.layer.network).run([core]))(*cores)
        return self._network.run(cores)

    def to_dense(self) -> Float[Tensor, "k o i"]:
        """Build W of every replicate as a matrix."""
        return self.weights().reshape(-1, self.layer.out_features, self.layer.in_features)

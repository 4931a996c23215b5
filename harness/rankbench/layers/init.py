"""Draw initial cores whose dense weight has the mean square of Glorot's initialisation."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch

from rankbench.layers.base import Layer
from rankbench.layers.contraction.einsum import plan_squared_norm

if TYPE_CHECKING:
    from torch import Tensor


def initial_cores(layer: Layer, seed: int) -> dict[str, Tensor]:
    """Draw the cores of a layer from a normal distribution, scaled so that mean(W^2) is Glorot's.

    Glorot's mean square is mean(W^2) = 2 / (I + J). All cores have the same variance. An entry of
    W sums prod_r R_r products of one entry of each of the K cores, so that variance is near
    (2 / (I + J) / prod_r R_r)^(1/K). The mean square of a deep network may be far from its
    expectation; therefore the cores are drawn with variance 1, ||W||^2 is computed by contracting
    the network with itself (W is never built), and all cores are multiplied by one factor that
    makes the mean square exact.

    Args:
        layer: The layer.
        seed: Seed of the draw. Cores do not depend on device or dtype.

    Returns:
        The cores by name, float64 on the CPU.
    """
    target = 2 / (layer.in_features + layer.out_features)
    sizes, cores, source = layer.sizes(), layer.cores(), generator(seed, "layer")
    drawn = [
        torch.randn([sizes[i] for i in core.indices], generator=source, dtype=torch.float64)
        for core in cores
    ]
    mean_square = plan_squared_norm(layer.network).run(drawn + drawn).item() / layer.dense_params
    factor = (target / mean_square) ** (0.5 / len(cores))
    return {core.name: factor * tensor for core, tensor in zip(cores, drawn, strict=True)}


def generator(seed: int, purpose: str) -> torch.Generator:
    """Return a CPU generator whose numbers are independent of those for any other purpose.

    Args:
        seed: The run's seed.
        purpose: What the numbers are for, such as "layer" or "batches".
    """
    digest = hashlib.sha256(f"{purpose}:{seed}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big"))

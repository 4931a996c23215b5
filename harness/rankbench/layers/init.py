"""Seeded initial cores whose dense weight has a Glorot-initialised matrix's mean square."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch

from rankbench.layers.base import Layer
from rankbench.layers.contraction.einsum import plan_squared_norm

if TYPE_CHECKING:
    from torch import Tensor


def initial_cores(layer: Layer, seed: int) -> dict[str, Tensor]:
    """Cores by name, float64 on the CPU, drawn from a normal distribution.

    Glorot's target is mean(W^2) = 2 / (I + J). All cores are drawn with one variance, so each
    has an equal share in it; with K cores that variance is near (target / prod_r R_r)^(1/K), as
    an entry of W sums prod_r R_r products of one entry of each core. A deep network's mean
    square strays far from its expectation, so one factor for all cores makes it exact; ||W||^2
    is the network contracted with itself, W is never built.
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
    """A CPU generator for one purpose: numbers drawn for another purpose are independent."""
    digest = hashlib.sha256(f"{purpose}:{seed}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big"))

"""Permute the input features, to measure how much a decomposition depends on their order.

A decomposition groups neighbouring features into modes, so it may rely on their order.

Letters: i input features.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from jaxtyping import Int64

from rankbench.common.checks import check_int_at_least, one_of
from rankbench.layers.modes import factorise

if TYPE_CHECKING:
    import torch
    from torch import Tensor

PERMUTATIONS = ("none", "pixels", "modes")


def check_permutation(permute: str, permute_seed: int) -> None:
    """Raise ValueError for an unknown permutation, or for a seed without a permutation."""
    one_of("task.permute", permute, PERMUTATIONS)
    check_int_at_least("task.permute_seed", permute_seed, 0)
    if permute == "none" and permute_seed:
        raise ValueError(
            f"task.permute_seed must be 0 with task.permute=none, which draws no permutation; "
            f"got {permute_seed}"
        )


def said(permute: str) -> str | None:
    """Return the value of the column `permute`: None for an input in its original order."""
    return None if permute == "none" else permute


def new_order(size: int, permute: str, seed: int) -> Int64[Tensor, " i"]:
    """Return the permutation of the input features: the index of the feature at each position.

    Args:
        size: Number of input features, i.
        permute: `none` keeps the order. `pixels` draws one permutation of all features. `modes`
            views the input as a row-major tensor of the prime factors of `size` and draws another
            order of its modes; with fewer than two prime factors, the order stays the same.
        seed: Seed of the draw.

    Example:
        >>> new_order(6, "modes", 0).tolist()
        [0, 2, 4, 1, 3, 5]
    """
    import torch

    indices = torch.arange(size)
    generator = torch.Generator().manual_seed(seed)
    if permute == "pixels":
        return torch.randperm(size, generator=generator)
    if permute == "modes":
        modes = _primes(size)
        return indices.view(modes).permute(_other_order(len(modes), generator)).flatten()
    return indices


def _other_order(count: int, generator: torch.Generator) -> list[int]:
    import torch

    original = list(range(count))
    drawn = torch.randperm(count, generator=generator).tolist()
    while drawn == original and count > 1:
        drawn = torch.randperm(count, generator=generator).tolist()
    return [int(mode) for mode in drawn]


def _primes(size: int) -> tuple[int, ...]:
    """Return the prime factors of `size`, largest first."""
    most = max(1, int(math.log2(size)))
    return tuple(mode for mode in factorise(size, most) if mode > 1)

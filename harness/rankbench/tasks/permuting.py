"""The features of an input in another order: what a map that groups them into modes may rely on.

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
    """Raise ValueError for an unknown permutation, and for a seed where nothing is permuted."""
    one_of("task.permute", permute, PERMUTATIONS)
    check_int_at_least("task.permute_seed", permute_seed, 0)
    if permute == "none" and permute_seed:
        raise ValueError(
            f"task.permute_seed draws a permutation; it must be 0 with task.permute none, "
            f"got {permute_seed}"
        )


def said(permute: str) -> str | None:
    """What the column `permute` says: null for an input in its own order."""
    return None if permute == "none" else permute


def new_order(size: int, permute: str, seed: int) -> Int64[Tensor, " i"]:
    """Which of `size` features stands at each place of the permuted input.

    `none`: its own. `pixels`: any, by one permutation. `modes`: the input as a tensor of the prime
    factors of `size`, row-major, its modes in another order than their own; with fewer than two
    primes there is no other.
    """
    import torch

    places = torch.arange(size)
    generator = torch.Generator().manual_seed(seed)
    if permute == "pixels":
        return torch.randperm(size, generator=generator)
    if permute == "modes":
        modes = _primes(size)
        return places.view(modes).permute(_other_order(len(modes), generator)).flatten()
    return places


def _other_order(count: int, generator: torch.Generator) -> list[int]:
    import torch

    own = list(range(count))
    drawn = torch.randperm(count, generator=generator).tolist()
    while drawn == own and count > 1:
        drawn = torch.randperm(count, generator=generator).tolist()
    return [int(place) for place in drawn]


def _primes(size: int) -> tuple[int, ...]:
    """The prime factors of `size`, largest first."""
    most = max(1, int(math.log2(size)))
    return tuple(mode for mode in factorise(size, most) if mode > 1)

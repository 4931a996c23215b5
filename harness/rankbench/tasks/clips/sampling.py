"""Which frames of a clip are shown, as steps among those that are stored.

Letters: b clips of a batch, k frames shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Int64

if TYPE_CHECKING:
    from torch import Tensor


def spread(shown: int, stored: Int64[Tensor, " b"]) -> Int64[Tensor, "b k"]:
    """`shown` of each clip's `stored` steps, evenly spread, the first and the last among them."""
    return torch.arange(shown) * (stored[:, None] - 1) // max(shown - 1, 1)


def drawn(
    shown: int, stored: Int64[Tensor, " b"], generator: torch.Generator
) -> Int64[Tensor, "b k"]:
    """For each clip `shown` distinct steps, every choice equally likely, in ascending order."""
    most = int(stored.max())
    keys = torch.rand(len(stored), most, generator=generator)
    keys[torch.arange(most) >= stored[:, None]] = 2.0  # behind every step that is there
    return keys.argsort(dim=1)[:, :shown].sort(dim=1).values

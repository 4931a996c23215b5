"""Which frames of a clip are shown, as steps among those that are stored.

Letters: b clips of a batch, k frames shown, t frames stored.
"""

from __future__ import annotations

import torch
from jaxtyping import Int64
from torch import Tensor


def spread(shown: int, stored: int) -> Int64[Tensor, " k"]:
    """`shown` of `stored` steps, evenly spread, the first and the last among them."""
    return torch.arange(shown) * (stored - 1) // max(shown - 1, 1)


def drawn(clips: int, shown: int, stored: int, generator: torch.Generator) -> Int64[Tensor, "b k"]:
    """For each clip `shown` distinct steps, every choice equally likely, in ascending order."""
    order = torch.rand(clips, stored, generator=generator).argsort(dim=1)
    return order[:, :shown].sort(dim=1).values

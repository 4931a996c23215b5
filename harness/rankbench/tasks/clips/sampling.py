"""Choose the frames of each clip that the network sees.

Letters: b clips of a batch, k frames shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Int64

if TYPE_CHECKING:
    from torch import Tensor


def spread(shown: int, stored: Int64[Tensor, " b"]) -> Int64[Tensor, "b k"]:
    """Choose evenly spread frames, with the first and the last among them.

    Args:
        shown: Number of frames to choose, k.
        stored: Number of frames of each clip.

    Returns:
        Indices of the chosen frames of each clip, ascending.

    Example:
        >>> spread(3, torch.tensor([5, 9])).tolist()
        [[0, 2, 4], [0, 4, 8]]
    """
    return torch.arange(shown) * (stored[:, None] - 1) // max(shown - 1, 1)


def drawn(
    shown: int, stored: Int64[Tensor, " b"], generator: torch.Generator
) -> Int64[Tensor, "b k"]:
    """Draw distinct frames of each clip, every choice equally likely.

    Args:
        shown: Number of frames to draw, k.
        stored: Number of frames of each clip.
        generator: Source of randomness.

    Returns:
        Indices of the drawn frames of each clip, ascending.
    """
    longest = int(stored.max())
    keys = torch.rand(len(stored), longest, generator=generator)
    keys[torch.arange(longest) >= stored[:, None]] = 2.0  # Sorts after all existing frames.
    return keys.argsort(dim=1)[:, :shown].sort(dim=1).values

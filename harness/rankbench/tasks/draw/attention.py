"""How DRAW reads a picture and writes on its canvas: whole, or by a grid of Gaussian filters.

Letters: b pictures, s pixels along a side, n filters along a side of the grid, h hidden units.
Source: Gregor et al., DRAW, ICML 2015, Sec. 3.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Filters(NamedTuple):
    """Filter banks F_Y and F_X, whose rows sum to 1, and the intensity of what passes them."""

    vertical: Float[Tensor, "b n s"]
    horizontal: Float[Tensor, "b n s"]
    intensity: Float[Tensor, "b 1 1"]


def filters(settings: Float[Tensor, "b 5"], n: int, side: int) -> Filters:
    """Filter banks of an n x n grid from (g_X, g_Y, log s^2, log d, log intensity), Eq. 21 to 26.

    The grid's centre is (side + 1) / 2 (g + 1), its stride (side - 1) / (n - 1) d, filter i of it
    is a Gaussian of variance s^2 around the centre + (i - n / 2 - 0.5) stride, pixels and filters
    counted from 1.
    """
    x, y, log_variance, log_stride, log_intensity = settings.unsqueeze(-1).unbind(1)
    stride = (side - 1) / (n - 1) * log_stride.exp()
    steps = (torch.arange(1, n + 1).to(settings) - n / 2 - 0.5) * stride
    pixels = torch.arange(1, side + 1).to(settings)

    def bank(centre: Float[Tensor, "b 1"]) -> Float[Tensor, "b n s"]:
        means = (side + 1) / 2 * (centre + 1) + steps
        distances = (pixels - means[..., None]).square()
        # Gaussians that sum to 1, also where a filter lies far outside of the picture.
        return torch.softmax(-distances / (2 * log_variance.exp()[..., None]), dim=-1)

    return Filters(bank(y), bank(x), log_intensity.exp()[..., None])


class Reader(nn.Module, ABC):
    """What of a picture and of its error enters the encoder."""

    @abstractmethod
    def forward(
        self,
        x: Float[Tensor, "b s*s"],
        error: Float[Tensor, "b s*s"],
        h: Float[Tensor, "b h"],
    ) -> Float[Tensor, "b r"]:
        """The glimpse, given the picture, what the canvas lacks, and the decoder's state."""


class ReadAll(Reader):
    """The picture and its error whole (Eq. 17)."""

    def forward(self, x: Tensor, error: Tensor, h: Tensor) -> Tensor:
        return torch.cat([x, error], dim=1)


class ReadGrid(Reader):
    """Both through n x n filters that the decoder places (Eq. 27)."""

    def __init__(self, side: int, n: int, hidden: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.side, self.n = side, n
        self.place = nn.Linear(hidden, 5, dtype=dtype)

    def forward(self, x: Tensor, error: Tensor, h: Tensor) -> Tensor:
        rows, columns, intensity = filters(self.place(h), self.n, self.side)
        both = torch.stack([x, error], dim=1).unflatten(2, (self.side, self.side))
        seen = rows[:, None] @ both @ columns.mT[:, None]
        glimpse: Tensor = intensity[:, None] * seen
        return glimpse.flatten(1)


class WriteAll(nn.Module):
    """A picture of the decoder's state (Eq. 18)."""

    def __init__(self, side: int, hidden: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.picture = nn.Linear(hidden, side**2, dtype=dtype)

    def forward(self, h: Float[Tensor, "b h"]) -> Float[Tensor, "b s*s"]:
        """What is added to the canvas."""
        written: Tensor = self.picture(h)
        return written


class WriteGrid(nn.Module):
    """An n x n patch of the decoder's state through filters that it places (Eq. 28 and 29)."""

    def __init__(self, side: int, n: int, hidden: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.side, self.n = side, n
        self.place = nn.Linear(hidden, 5, dtype=dtype)
        self.patch = nn.Linear(hidden, n**2, dtype=dtype)

    def forward(self, h: Float[Tensor, "b h"]) -> Float[Tensor, "b s*s"]:
        """What is added to the canvas."""
        rows, columns, intensity = filters(self.place(h), self.n, self.side)
        patch = self.patch(h).unflatten(1, (self.n, self.n))
        written: Tensor = rows.mT @ patch @ columns / intensity
        return written.flatten(1)

"""Reading from pictures and writing to the canvas in DRAW, with or without attention.

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
    """The Gaussian filters of a grid."""

    vertical: Float[Tensor, "b n s"]
    """Filter bank F_Y; its rows sum to 1."""
    horizontal: Float[Tensor, "b n s"]
    """Filter bank F_X; its rows sum to 1."""
    intensity: Float[Tensor, "b 1 1"]
    """Factor by which the filtered values are multiplied."""


def filters(settings: Float[Tensor, "b 5"], n: int, side: int) -> Filters:
    """Compute the filters of an n x n grid (Eq. 21 to 26).

        centre = (side + 1) / 2 (g + 1),    stride = (side - 1) / (n - 1) d

    Filter i is a Gaussian with variance s^2 and mean centre + (i - n / 2 - 0.5) stride. Pixels and
    filters are counted from 1.

    Args:
        settings: (g_X, g_Y, log s^2, log d, log intensity) of each picture.
        n: Filters along a side of the grid.
        side: Pixels along a side of the picture.
    """
    x, y, log_variance, log_stride, log_intensity = settings.unsqueeze(-1).unbind(1)
    stride = (side - 1) / (n - 1) * log_stride.exp()
    steps = (torch.arange(1, n + 1).to(settings) - n / 2 - 0.5) * stride
    pixels = torch.arange(1, side + 1).to(settings)

    def bank(centre: Float[Tensor, "b 1"]) -> Float[Tensor, "b n s"]:
        means = (side + 1) / 2 * (centre + 1) + steps
        distances = (pixels - means[..., None]).square()
        # A softmax keeps the sum at 1 even for a filter far outside the picture.
        return torch.softmax(-distances / (2 * log_variance.exp()[..., None]), dim=-1)

    return Filters(bank(y), bank(x), log_intensity.exp()[..., None])


class Reader(nn.Module, ABC):
    """Selects what the encoder sees of a picture and of the canvas's error."""

    @abstractmethod
    def forward(
        self,
        x: Float[Tensor, "b s*s"],
        error: Float[Tensor, "b s*s"],
        h: Float[Tensor, "b h"],
    ) -> Float[Tensor, "b r"]:
        """Return the glimpse.

        Args:
            x: The picture.
            error: The picture minus the canvas.
            h: Hidden state of the decoder.
        """


class ReadAll(Reader):
    """Reads the whole picture and the whole error (Eq. 17)."""

    def forward(self, x: Tensor, error: Tensor, h: Tensor) -> Tensor:
        return torch.cat([x, error], dim=1)


class ReadGrid(Reader):
    """Reads picture and error through n x n filters, which the decoder places (Eq. 27)."""

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
    """Writes a whole picture, a linear map of the decoder's state (Eq. 18)."""

    def __init__(self, side: int, hidden: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.picture = nn.Linear(hidden, side**2, dtype=dtype)

    def forward(self, h: Float[Tensor, "b h"]) -> Float[Tensor, "b s*s"]:
        """What is added to the canvas."""
        written: Tensor = self.picture(h)
        return written


class WriteGrid(nn.Module):
    """Writes an n x n patch through filters; the decoder's state gives both (Eq. 28 and 29)."""

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

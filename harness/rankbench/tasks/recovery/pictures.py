"""Seeded pictures, used as structured weight matrices to recover.

The seed determines the position and the size of the shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

# v and h are the vertical and horizontal coordinates of each pixel, from -1 to 1, both of shape
# (rows, columns).


def disk(v: Tensor, h: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a filled circle."""
    return (_distance(v, h, generator) < 0.6).double()


def ring(v: Tensor, h: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a circle with a hole."""
    distance = _distance(v, h, generator)
    return ((distance < 0.7) & (distance > 0.4)).double()


def cross(v: Tensor, h: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a vertical and a horizontal bar that cross."""
    at_v, at_h = _uniform(generator, -0.3, 0.3), _uniform(generator, -0.3, 0.3)
    inside = (v.abs() < 0.85) & (h.abs() < 0.85)
    return ((((v - at_v).abs() < 0.2) | ((h - at_h).abs() < 0.2)) & inside).double()


def stripes(v: Tensor, h: Tensor, generator: torch.Generator) -> Tensor:
    """Draw oblique parallel waves, with values from 0 to 1."""
    angle, phase = _uniform(generator, 0.3, 1.2), _uniform(generator, 0.0, 6.28)
    direction = v * torch.sin(torch.tensor(angle)) + h * torch.cos(torch.tensor(angle))
    return (1 + torch.sin(9 * direction + phase)).double() / 2


def checkerboard(v: Tensor, h: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a checkerboard with eight squares along each side, shifted by the seed."""
    shift = _uniform(generator, 0.0, 1.0)
    return ((torch.floor(4 * v + shift) + torch.floor(4 * h + shift)) % 2).double()


PICTURES: dict[str, Callable[[Tensor, Tensor, torch.Generator], Tensor]] = {
    "disk": disk,
    "ring": ring,
    "cross": cross,
    "stripes": stripes,
    "checkerboard": checkerboard,
}


def draw(name: str, rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """Draw a picture as a matrix.

    Args:
        name: A key of PICTURES.
        rows: Height in pixels.
        columns: Width in pixels.
        generator: Source of the shape's position and size.

    Returns:
        A (rows, columns) matrix in float64, with values from 0 to 1.
    """
    v = torch.linspace(-1, 1, rows, dtype=torch.float64)[:, None]
    h = torch.linspace(-1, 1, columns, dtype=torch.float64)[None, :]
    return PICTURES[name](v.expand(rows, columns), h.expand(rows, columns), generator)


def _uniform(generator: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * torch.rand((), generator=generator).item()


def _distance(v: Tensor, h: Tensor, generator: torch.Generator) -> Tensor:
    """Compute the distance of each pixel from a seeded centre, stretched by a seeded amount."""
    at_v, at_h = _uniform(generator, -0.2, 0.2), _uniform(generator, -0.2, 0.2)
    return torch.sqrt((v - at_v) ** 2 + (_uniform(generator, 0.8, 1.3) * (h - at_h)) ** 2)

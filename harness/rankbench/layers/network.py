"""The tensor network of a layer: its cores, the indices they share, and the size of each index."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from rankbench.layers.modes import product

Indices = tuple[str, ...]


@dataclass(frozen=True)
class Core:
    """One tensor of a network."""

    name: str
    """Name of the core in the paper, such as "A1" or "G"."""
    indices: Indices
    """Label of each of its dimensions, in order."""


@dataclass(frozen=True)
class Network:
    """The tensor network of a linear map."""

    cores: tuple[Core, ...]
    """The cores, in the order in which the paper contracts them with the input."""
    in_indices: Indices
    """Labels of the input's dimensions, i1, i2, ..."""
    out_indices: Indices
    """Labels of the output's dimensions, j1, j2, ..."""
    index_sizes: tuple[tuple[str, int], ...]
    """Label and size of every index: input, output, then ranks."""

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The size of every index by its label."""
        return dict(self.index_sizes)

    @cached_property
    def rank_indices(self) -> Indices:
        """Labels of the indices that are neither input nor output, but shared by cores."""
        outer = {*self.in_indices, *self.out_indices}
        return tuple(label for label, _ in self.index_sizes if label not in outer)

    @cached_property
    def in_features(self) -> int:
        """Number of input features, I."""
        return product(tuple(self.sizes[label] for label in self.in_indices))

    @cached_property
    def out_features(self) -> int:
        """Number of output features, J."""
        return product(tuple(self.sizes[label] for label in self.out_indices))

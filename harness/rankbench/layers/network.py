"""A layer as contraction sees it: cores, the indices they share, and the size of each index."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from rankbench.layers.modes import product

Indices = tuple[str, ...]


@dataclass(frozen=True)
class Core:
    """One tensor of a network: its name and the label of each of its dimensions."""

    name: str
    indices: Indices


@dataclass(frozen=True)
class Network:
    """The tensor network of a linear map.

    Args:
        cores: The cores, in the order in which the paper contracts them with the input.
        in_indices: Labels of the input's dimensions, i1, i2, ...
        out_indices: Labels of the output's dimensions, j1, j2, ...
        index_sizes: Label and size of every index: input, output, then ranks.
    """

    cores: tuple[Core, ...]
    in_indices: Indices
    out_indices: Indices
    index_sizes: tuple[tuple[str, int], ...]

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The size of every index, by its label."""
        return dict(self.index_sizes)

    @cached_property
    def rank_indices(self) -> Indices:
        """Labels of the indices that only cores share."""
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

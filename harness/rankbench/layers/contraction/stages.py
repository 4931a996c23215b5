"""Describe how a layer is applied: merged groups of cores are contracted with the input in turn.

Every pairwise order of contraction has this form, because the input is always contracted with a
core or with a tensor made of cores. A merged group depends on the weights, not on the batch.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from rankbench.layers.contraction.einsum import Plan, elements, plan_merge
from rankbench.layers.network import Indices, Network

ROWS = "b"  # The index label of the rows of a batch.
Group = tuple[int, ...]  # Positions in network.cores.
Groups = tuple[Group, ...]


@dataclass(frozen=True)
class Cost:
    """The cost of a forward pass."""

    flops: int
    """FLOPs, merging of the cores included; a multiply-add is 2."""
    largest_intermediate: int
    """Elements of the largest tensor made on the way, the output included."""


@dataclass(frozen=True)
class Stage:
    """One contraction of the running tensor T with a merged group W.

    U[kept, free, made] = sum_summed T[kept, free, summed] W[kept, summed, made]. T may have its
    indices in any order.
    """

    group: Group
    """The cores that are merged to W."""
    kept: Indices
    """Indices of both T and W that a later stage or the output needs."""
    free: Indices
    """Indices of T that W does not have, among them the rows of the batch."""
    summed: Indices
    """Indices of both T and W that are summed over."""
    made: Indices
    """Indices of W that T does not have, which the stage adds to the running tensor."""


@dataclass(frozen=True)
class Contraction:
    """The stages that apply a layer to any number of rows; the last one leaves (b, j1, ..)."""

    network: Network
    """The layer's network."""
    groups: Groups
    """The cores of each stage; every core is in exactly one group."""
    stages: tuple[Stage, ...]
    """The stages, in order."""

    def describe(self) -> str:
        """Return the groups as text, such as "A3+A4+G A1+A2"."""
        names = [core.name for core in self.network.cores]
        return " ".join("+".join(names[place] for place in group) for group in self.groups)

    def merges(self) -> tuple[Plan, ...]:
        """Plan the merging of each group to a tensor with indices (kept, summed, made)."""
        return tuple(
            plan_merge(self.network, s.group, s.kept + s.summed + s.made) for s in self.stages
        )

    def cost(self, rows: int) -> Cost:
        """Return the cost of a forward pass over `rows` rows."""
        return Cost(self.flops(rows), self.largest_intermediate(rows))

    def flops(self, rows: int) -> int:
        """Count the FLOPs of a forward pass, merging included; a multiply-add is 2."""
        return sum(self.stage_flops(rows)) + sum(plan.flops for plan in self.merges())

    def backward_flops(self, rows: int) -> int:
        """Count the FLOPs of the gradients of all cores, given the forward pass's intermediates.

        A stage has two products, one for each of its operands. The first stage has one, because
        the input needs no gradient.
        """
        first, *others = self.stage_flops(rows)
        return first + 2 * (sum(others) + sum(plan.flops for plan in self.merges()))

    def stage_flops(self, rows: int) -> tuple[int, ...]:
        """Count the FLOPs of each stage, without merging."""
        sizes = {**self.network.sizes, ROWS: rows}
        return tuple(2 * elements(s.kept + s.free + s.summed + s.made, sizes) for s in self.stages)

    def intermediates(self, rows: int) -> tuple[int, ...]:
        """Count the elements of each stage's result; the last one is the output."""
        sizes = {**self.network.sizes, ROWS: rows}
        return tuple(elements(s.kept + s.free + s.made, sizes) for s in self.stages)

    def merged(self) -> tuple[int, ...]:
        """Count the elements of each merged group."""
        sizes = self.network.sizes
        return tuple(elements(s.kept + s.summed + s.made, sizes) for s in self.stages)

    def largest_intermediate(self, rows: int) -> int:
        """Count the elements of the largest tensor made, merged groups and output included."""
        merging = (plan.largest_intermediate for plan in self.merges())
        return max(*self.intermediates(rows), *merging)

    def largest_gradient(self, rows: int) -> int:
        """Count the elements of the largest gradient: of a core, a merged group or a result."""
        sizes = self.network.sizes
        cores = (elements(core.indices, sizes) for core in self.network.cores)
        return max(self.largest_intermediate(rows), *self.merged(), *cores)


@functools.lru_cache(maxsize=65536)
def contraction(network: Network, groups: Groups) -> Contraction:
    """Return the contraction of the input with `groups` in order.

    Args:
        network: The layer's network.
        groups: The groups of cores; every core must be in exactly one.
    """
    cores = network.cores
    running: Indices = (ROWS, *network.in_indices)
    output = {ROWS, *network.out_indices}
    stages = []
    for place, group in enumerate(groups):
        later = output.union(*(cores[c].indices for rest in groups[place + 1 :] for c in rest))
        stage = _stage(group, [cores[c].indices for c in group], running, later)
        running = stage.kept + stage.free + stage.made
        stages.append(stage)
    return Contraction(network, groups, tuple(stages))


def _stage(group: Group, cores: Sequence[Indices], running: Indices, later: set[str]) -> Stage:
    joining = tuple(dict.fromkeys(label for indices in cores for label in indices))
    shared = [label for label in running if label in joining]
    return Stage(
        group=group,
        kept=tuple(label for label in shared if label in later),
        free=tuple(label for label in running if label not in joining),
        summed=tuple(label for label in shared if label not in later),
        made=tuple(label for label in joining if label not in running and label in later),
    )

"""How a layer is applied: groups of its cores, each merged, join the input one after the other.

Every pairwise order of a network is of this form: what meets the input is either a core or a
tensor made of cores alone. A merged group depends on the weights only, never on the batch.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from rankbench.layers.contraction.einsum import Plan, elements, plan_merge
from rankbench.layers.network import Indices, Network

ROWS = "b"  # the label of the rows of a batch
Group = tuple[int, ...]  # places in network.cores
Groups = tuple[Group, ...]


@dataclass(frozen=True)
class Cost:
    """Cost of a forward pass: FLOPs (2 per multiply-add), elements of its largest result."""

    flops: int
    largest_intermediate: int


@dataclass(frozen=True)
class Stage:
    """The running tensor T meets a merged group W: U[kept, free, made] = sum_summed T W.

    `kept`: indices of both that are needed later; `summed`: of both that are not; `free`: of T
    alone, the rows among them; `made`: of W alone. T has kept + free + summed in any order.
    """

    group: Group
    kept: Indices
    free: Indices
    summed: Indices
    made: Indices


@dataclass(frozen=True)
class Contraction:
    """A layer's stages, for any number of rows; the last one leaves (b, j1, ..)."""

    network: Network
    groups: Groups
    stages: tuple[Stage, ...]

    def describe(self) -> str:
        """The groups as text, such as "A3+A4+G A1+A2"."""
        names = [core.name for core in self.network.cores]
        return " ".join("+".join(names[place] for place in group) for group in self.groups)

    def merges(self) -> tuple[Plan, ...]:
        """The plan of each group's merging, with indices in the order of the cores."""
        return tuple(
            plan_merge(self.network, s.group, s.kept + s.summed + s.made) for s in self.stages
        )

    def cost(self, rows: int) -> Cost:
        """Cost of a forward pass over `rows` rows."""
        return Cost(self.flops(rows), self.largest_intermediate(rows))

    def flops(self, rows: int) -> int:
        """FLOPs of a forward pass, merging included: 2 per multiply-add."""
        return sum(self.stage_flops(rows)) + sum(plan.flops for plan in self.merges())

    def backward_flops(self, rows: int) -> int:
        """FLOPs of the gradients of all cores, intermediates at hand: 2 per multiply-add.

        Two products a stage, one for the first: the input has no gradient.
        """
        first, *others = self.stage_flops(rows)
        return first + 2 * (sum(others) + sum(plan.flops for plan in self.merges()))

    def stage_flops(self, rows: int) -> tuple[int, ...]:
        """FLOPs of each stage, without merging."""
        sizes = {**self.network.sizes, ROWS: rows}
        return tuple(2 * elements(s.kept + s.free + s.summed + s.made, sizes) for s in self.stages)

    def intermediates(self, rows: int) -> tuple[int, ...]:
        """Elements of what each stage leaves, the last one the output."""
        sizes = {**self.network.sizes, ROWS: rows}
        return tuple(elements(s.kept + s.free + s.made, sizes) for s in self.stages)

    def merged(self) -> tuple[int, ...]:
        """Elements of each merged group."""
        sizes = self.network.sizes
        return tuple(elements(s.kept + s.summed + s.made, sizes) for s in self.stages)

    def largest_intermediate(self, rows: int) -> int:
        """Elements of the largest tensor made on the way, merged groups and output included."""
        merging = (plan.largest_intermediate for plan in self.merges())
        return max(*self.intermediates(rows), *merging)

    def largest_gradient(self, rows: int) -> int:
        """Elements of the largest gradient: of a core, a merged group, or what a stage leaves."""
        sizes = self.network.sizes
        cores = (elements(core.indices, sizes) for core in self.network.cores)
        return max(self.largest_intermediate(rows), *self.merged(), *cores)


@functools.lru_cache(maxsize=65536)
def contraction(network: Network, groups: Groups) -> Contraction:
    """The contraction in which `groups`, which hold every core once, join the input in order."""
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

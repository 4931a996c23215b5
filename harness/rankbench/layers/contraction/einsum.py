"""Plan the contraction of a network as a sequence of pairwise einsums, with its cost.

A step of two tensors costs 2 FLOPs (one multiply-add) for each combination of the values of all
indices of both tensors.
"""

from __future__ import annotations

import functools
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rankbench.layers.contraction.path import Path, fewest_flops, greedy
from rankbench.layers.modes import product
from rankbench.layers.network import Indices, Network

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class EinsumStep:
    """One einsum over one or two tensors of a list.

    The step removes its operands from the list and appends its result.
    """

    positions: tuple[int, ...]
    """Positions of the operands in the list of tensors, ascending."""
    equation: str
    """The equation for `torch.einsum`. Each step names its indices by letters of its own, because
    a network may have more indices than there are letters."""
    flops: int
    """FLOPs of the step; 0 for a step of one tensor."""
    summed: int
    """Number of terms in the sum of each element of the result."""


@dataclass(frozen=True)
class Plan:
    """A sequence of einsum steps that contracts a list of tensors to one."""

    steps: tuple[EinsumStep, ...]
    """The steps, in order."""
    flops: int
    """FLOPs of all steps together; a multiply-add is 2."""
    largest_intermediate: int
    """Elements of the largest tensor that a step produces."""

    def run(self, tensors: Iterable[Tensor]) -> Tensor:
        """Contract `tensors`, which must be in the order for which the plan was made."""
        import torch

        live = list(tensors)
        for step in self.steps:
            operands = [live[position] for position in step.positions]
            for position in reversed(step.positions):
                del live[position]
            live.append(torch.einsum(step.equation, *operands))
        (result,) = live
        return result


@functools.lru_cache(maxsize=65536)
def plan_merge(network: Network, group: tuple[int, ...], output: Indices) -> Plan:
    """Plan the contraction of some cores with one another, with the fewest FLOPs.

    Args:
        network: The layer's network.
        group: Positions of the cores in `network.cores`. The plan takes these cores in this order.
        output: Indices of the merged tensor, in order.

    Raises:
        ValueError: If a step has more indices than `torch.einsum` has letters.
    """
    cores = network.cores
    inputs = tuple(cores[place].indices for place in group)
    return _plan(inputs, output, network.sizes, _merge_path(network, group, frozenset(output)))


@functools.lru_cache(maxsize=65536)
def _merge_path(network: Network, group: tuple[int, ...], output: frozenset[str]) -> Path:
    cores, sizes = network.cores, network.sizes
    inputs = tuple(cores[place].indices for place in group)
    kept = tuple(label for label in sizes if label in output)
    return fewest_flops(inputs, kept, sizes, search_limit(network))


@functools.lru_cache(maxsize=4096)
def plan_dense(network: Network) -> Plan:
    """Plan the contraction of all cores to W (j1, .., i1, ..) with the fewest FLOPs."""
    return plan_merge(
        network, tuple(range(len(network.cores))), network.out_indices + network.in_indices
    )


def path_dense(network: Network) -> Path:
    """Return the contraction path of `plan_dense`."""
    everything = network.out_indices + network.in_indices
    return _merge_path(network, tuple(range(len(network.cores))), frozenset(everything))


@functools.lru_cache(maxsize=4096)
def plan_squared_norm(network: Network) -> Plan:
    """Plan the squared Frobenius norm of W as a contraction that never builds W.

    The plan takes the cores twice: all cores, then all cores again. The second copy has rank
    indices of its own and shares the input and output indices with the first.
    """
    ranks = network.rank_indices
    cores = tuple(core.indices for core in network.cores)
    twins = tuple(tuple(f"{s}'" if s in ranks else s for s in core) for core in cores)
    sizes = network.sizes | {f"{label}'": network.sizes[label] for label in ranks}
    inputs = cores + twins
    return _plan(inputs, (), sizes, greedy(inputs, (), sizes))


def search_limit(network: Network) -> int:
    """Return the number of tensors up to which the exact search takes about a second.

    The search's work grows with the number of connected subsets of tensors. All subsets are
    connected if one core or index joins all others; few are if the cores form a chain and the
    input has few modes.
    """
    cores = [set(core.indices) for core in network.cores]
    chain = all(sum(not a.isdisjoint(b) for b in cores) <= 3 for a in cores)
    return 18 if chain and len(network.in_indices) <= 12 else 11


def _plan(inputs: Sequence[Indices], output: Indices, sizes: Mapping[str, int], path: Path) -> Plan:
    live, steps, largest = list(inputs), [], 0
    for positions in (tuple(sorted(positions)) for positions in path):
        operands = [live[position] for position in positions]
        live = [indices for k, indices in enumerate(live) if k not in positions]
        result = _result_indices(operands, live, output) if live else output
        live.append(result)
        joined = dict.fromkeys(label for indices in operands for label in indices)
        multiplications, size = elements(joined, sizes), elements(result, sizes)
        flops = 2 * multiplications if len(operands) == 2 else 0
        equation = _equation(operands, result)
        steps.append(EinsumStep(positions, equation, flops, multiplications // size))
        largest = max(largest, size)
    return Plan(tuple(steps), sum(step.flops for step in steps), largest)


def _result_indices(
    operands: Sequence[Indices], others: Sequence[Indices], output: Indices
) -> Indices:
    """Return the indices of the operands that the output or another tensor needs."""
    needed = set(output).union(*others)
    return tuple(dict.fromkeys(s for indices in operands for s in indices if s in needed))


def elements(indices: Iterable[str], sizes: Mapping[str, int]) -> int:
    """Return the number of elements of a tensor with these indices."""
    return product(tuple(sizes[label] for label in indices))


def _equation(operands: Sequence[Indices], result: Indices) -> str:
    labels = dict.fromkeys(label for indices in operands for label in indices)
    if len(labels) > len(string.ascii_letters):
        raise ValueError(
            f"core_order is too large: one contraction has {len(labels)} indices, "
            f"torch.einsum names at most {len(string.ascii_letters)}"
        )
    letter = {label: string.ascii_letters[k] for k, label in enumerate(labels)}
    left = ",".join("".join(letter[label] for label in indices) for indices in operands)
    return f"{left}->{''.join(letter[label] for label in result)}"

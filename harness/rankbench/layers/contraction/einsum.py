"""Plans: a network of cores as a sequence of pairwise einsums, costed before it runs.

A step costs 2 FLOPs (a multiply-add) for each combination of the indices of its operands.
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
    """One einsum over one or two of the tensors at hand; its result joins them at the end.

    `positions` are ascending places in the list of tensors, which leave it. The letters of
    `equation` mean something in this step only: a network may have more indices than letters.
    `flops` of it, 0 where there is one tensor; `summed`: the number of terms in each sum.
    """

    positions: tuple[int, ...]
    equation: str
    flops: int
    summed: int


@dataclass(frozen=True)
class Plan:
    """Steps, their FLOPs, and the elements of the largest tensor that a step produces."""

    steps: tuple[EinsumStep, ...]
    flops: int
    largest_intermediate: int

    def run(self, tensors: Iterable[Tensor]) -> Tensor:
        """Contract `tensors`, given in the order of the network the plan was made for."""
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
    """Plan of merging some cores. Tensors: the cores at the places `group`; result: `output`.

    Raises ValueError where a step has more indices than torch.einsum has letters.
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
    """Plan of W with the fewest FLOPs. Tensors: the cores; result: W (j1, .., i1, ..)."""
    return plan_merge(
        network, tuple(range(len(network.cores))), network.out_indices + network.in_indices
    )


def path_dense(network: Network) -> Path:
    """The path of `plan_dense`."""
    everything = network.out_indices + network.in_indices
    return _merge_path(network, tuple(range(len(network.cores))), frozenset(everything))


@functools.lru_cache(maxsize=4096)
def plan_squared_norm(network: Network) -> Plan:
    """Plan of the squared Frobenius norm of W that never builds W.

    Tensors: the cores, then the cores once more, whose rank indices are their own.
    """
    ranks = network.rank_indices
    cores = tuple(core.indices for core in network.cores)
    twins = tuple(tuple(f"{s}'" if s in ranks else s for s in core) for core in cores)
    sizes = network.sizes | {f"{label}'": network.sizes[label] for label in ranks}
    inputs = cores + twins
    return _plan(inputs, (), sizes, greedy(inputs, (), sizes))


def search_limit(network: Network) -> int:
    """Tensors up to which the exact search takes about a second.

    Its work grows with the sets of tensors that hang together: all of them where one core or
    index joins the others, few where the cores form a chain and not too many meet the input.
    """
    cores = [set(core.indices) for core in network.cores]
    chain = all(sum(not a.isdisjoint(b) for b in cores) <= 3 for a in cores)
    return 18 if chain and len(network.in_indices) <= 12 else 11


def _plan(inputs: Sequence[Indices], output: Indices, sizes: Mapping[str, int], path: Path) -> Plan:
    live, steps, largest = list(inputs), [], 0
    for positions in (tuple(sorted(positions)) for positions in path):
        operands = [live[position] for position in positions]
        live = [indices for k, indices in enumerate(live) if k not in positions]
        result = _kept(operands, live, output) if live else output
        live.append(result)
        joined = dict.fromkeys(label for indices in operands for label in indices)
        all_of_them, left = elements(joined, sizes), elements(result, sizes)
        flops = 2 * all_of_them if len(operands) == 2 else 0
        steps.append(EinsumStep(positions, _equation(operands, result), flops, all_of_them // left))
        largest = max(largest, left)
    return Plan(tuple(steps), sum(step.flops for step in steps), largest)


def _kept(operands: Sequence[Indices], others: Sequence[Indices], output: Indices) -> Indices:
    """Indices of a step's result: those that the output or another tensor still needs."""
    needed = set(output).union(*others)
    return tuple(dict.fromkeys(s for indices in operands for s in indices if s in needed))


def elements(indices: Iterable[str], sizes: Mapping[str, int]) -> int:
    """Elements of a tensor with these indices."""
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

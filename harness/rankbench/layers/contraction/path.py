"""Search contraction paths: the order in which the tensors of a network are multiplied in pairs."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, cast

from opt_einsum.path_random import RandomGreedy
from opt_einsum.paths import DynamicProgramming
from opt_einsum.paths import greedy as opt_einsum_greedy

from rankbench.layers.network import Indices

# As in opt_einsum: each entry holds the positions of the tensors to contract in the list of those
# that remain. They are removed from the list, and their product is appended to it.
Path = Sequence[tuple[int, ...]]

_OUTER_LIMIT = 7  # The exact search with outer products is too slow for more tensors than these.


def left_to_right(tensors: int) -> Path:
    """Contract the first tensor with the second, their product with the third, and so on."""
    if tensors == 1:
        return [(0,)]
    return [(0, 1), *((0, left - 1) for left in range(tensors - 1, 1, -1))]


def fewest_flops(
    inputs: Sequence[Indices], output: Indices, sizes: Mapping[str, int], exact_limit: int
) -> Path:
    """Search the path with the fewest FLOPs.

    Args:
        inputs: Indices of each tensor.
        output: Indices of the result.
        sizes: Size of every index.
        exact_limit: Largest number of tensors for which the search is exact, though without outer
            products if there are more than 7. Beyond it a seeded random search runs.
    """
    if len(inputs) <= 2:
        return left_to_right(len(inputs))
    network = _numbered(inputs, output, sizes)
    if len(inputs) <= exact_limit:
        outer = len(inputs) <= _OUTER_LIMIT
        return _path(DynamicProgramming(minimize="flops", search_outer=outer)(*network))
    # opt_einsum seeds Python's global generator, whose state belongs to the caller.
    state = random.getstate()
    try:
        return _path(RandomGreedy(max_repeats=128, minimize="flops", parallel=False)(*network))
    finally:
        random.setstate(state)


def greedy(inputs: Sequence[Indices], output: Indices, sizes: Mapping[str, int]) -> Path:
    """Return the path that shrinks the tensors most at every step."""
    return _path(opt_einsum_greedy(*_numbered(inputs, output, sizes)))


def _numbered(
    inputs: Sequence[Indices], output: Indices, sizes: Mapping[str, int]
) -> tuple[list[frozenset[int]], frozenset[int], dict[int, int]]:
    """Replace labels by numbers: the order of a set of strings differs between processes."""
    number = {label: k for k, label in enumerate(sizes)}
    sets = [frozenset(number[label] for label in indices) for indices in inputs]
    return (
        sets,
        frozenset(number[label] for label in output),
        {number[s]: size for s, size in sizes.items()},
    )


def _path(untyped: Any) -> Path:
    return cast(Path, untyped)

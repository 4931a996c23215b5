"""Contraction paths: in which order the tensors of a network meet, two at a time."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, cast

from opt_einsum.path_random import RandomGreedy
from opt_einsum.paths import DynamicProgramming
from opt_einsum.paths import greedy as opt_einsum_greedy

from rankbench.layers.network import Indices

# Each entry: the places, in the list of tensors that are left, of those that meet. They leave
# the list, their product joins at its end.
Path = Sequence[tuple[int, ...]]

_OUTER_LIMIT = 7


def left_to_right(tensors: int) -> Path:
    """The first with the second, their product with the third, and so on."""
    if tensors == 1:
        return [(0,)]
    return [(0, 1), *((0, left - 1) for left in range(tensors - 1, 1, -1))]


def fewest_flops(
    inputs: Sequence[Indices], output: Indices, sizes: Mapping[str, int], exact_limit: int
) -> Path:
    """The cheapest path: exact up to `exact_limit` tensors, a seeded random search beyond.

    The exact search leaves outer products out where there are more than 7 tensors.
    """
    if len(inputs) <= 2:
        return left_to_right(len(inputs))
    network = _numbered(inputs, output, sizes)
    if len(inputs) <= exact_limit:
        outer = len(inputs) <= _OUTER_LIMIT
        return _path(DynamicProgramming(minimize="flops", search_outer=outer)(*network))
    state = random.getstate()  # opt_einsum seeds Python's own generator
    try:
        return _path(RandomGreedy(max_repeats=128, minimize="flops", parallel=False)(*network))
    finally:
        random.setstate(state)


def greedy(inputs: Sequence[Indices], output: Indices, sizes: Mapping[str, int]) -> Path:
    """The path that shrinks the tensors at hand the most at every step."""
    return _path(opt_einsum_greedy(*_numbered(inputs, output, sizes)))


def _numbered(
    inputs: Sequence[Indices], output: Indices, sizes: Mapping[str, int]
) -> tuple[list[frozenset[int]], frozenset[int], dict[int, int]]:
    """Labels as numbers: sets of text are walked in another order in every process."""
    number = {label: k for k, label in enumerate(sizes)}
    sets = [frozenset(number[label] for label in indices) for indices in inputs]
    return (
        sets,
        frozenset(number[label] for label in output),
        {number[s]: size for s, size in sizes.items()},
    )


def _path(found: Any) -> Path:
    return cast(Path, found)

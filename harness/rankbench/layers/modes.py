"""Modes: sizes as products of small numbers."""

from __future__ import annotations

import functools
import math

from rankbench.common.checks import positive_int


def product(modes: tuple[int, ...]) -> int:
    """The size that `modes` multiply to."""
    return math.prod(modes)


def factorise(size: int, d: int) -> tuple[int, ...]:
    """Split `size` into `d` modes as evenly as its factors allow, largest first.

    Of all (m_1, .., m_d) with m_1 * .. * m_d = size: the least sum, then the least m_1, m_2, ..
    Ones appear only where `size` has fewer than `d` prime factors, as in BT Fig. 5 up to d = 12.

    Raises ValueError unless both are positive integers.
    """
    positive_int("size", size)
    positive_int("core_order", d)
    return _most_even(size, d)


@functools.cache
def _most_even(size: int, d: int) -> tuple[int, ...]:
    if d == 1:
        return (size,)
    if size == 1:
        return (1,) * d
    splits = (
        tuple(sorted((first, *_most_even(size // first, d - 1)), reverse=True))
        for first in _divisors(size)
    )
    return min(splits, key=lambda modes: (sum(modes), modes))


@functools.cache
def _divisors(size: int) -> tuple[int, ...]:
    small = [k for k in range(1, math.isqrt(size) + 1) if size % k == 0]
    return tuple(sorted({*small, *(size // k for k in small)}))


def pair(in_modes: tuple[int, ...], out_modes: tuple[int, ...]) -> tuple[int, ...]:
    """Reorder `in_modes` so that sum_k I_k J_k is least: the smallest meets the largest J_k.

    That sum counts the parameters of every decomposition with one factor for each (I_k, J_k).

    Raises ValueError for different numbers of modes.
    """
    if len(in_modes) != len(out_modes):
        raise ValueError(
            "in_modes and out_modes must have equal lengths to be paired, "
            f"got {list(in_modes)} and {list(out_modes)}"
        )
    largest_first = sorted(range(len(out_modes)), key=lambda k: -out_modes[k])
    paired = [0] * len(in_modes)
    for position, mode in zip(largest_first, sorted(in_modes), strict=True):
        paired[position] = mode
    return tuple(paired)


def fuse_gates(out_modes: tuple[int, ...], gates: int) -> tuple[int, ...]:
    """Modes of all gates of a cell as one output: the first mode times `gates`.

    Row-major, so the flat output is gate after gate; every published parameter count follows it.
    """
    return (out_modes[0] * gates, *out_modes[1:])

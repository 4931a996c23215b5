"""Split sizes into modes, pair input modes with output modes, and fuse a cell's gates."""

from __future__ import annotations

import functools
import math

from rankbench.common.checks import positive_int


def product(modes: tuple[int, ...]) -> int:
    """Return the product of `modes`, which is 1 for no modes."""
    return math.prod(modes)


def factorise(size: int, d: int) -> tuple[int, ...]:
    """Split `size` into `d` modes as evenly as its factors allow, largest first.

    Of all (m_1, .., m_d) with m_1 * .. * m_d = size, those with the smallest sum are chosen, and of
    these the one with the smallest m_1, then m_2, and so on. A mode is 1 only if `size` has fewer
    than `d` prime factors, as in BT Fig. 5 for d up to 12.

    Raises:
        ValueError: If `size` or `d` is not a positive integer.

    Example:
        >>> factorise(57600, 4)
        (16, 16, 15, 15)
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
    """Reorder `in_modes` so that sum_k I_k J_k is smallest.

    The smallest I_k is paired with the largest J_k. The sum is what the parameters of every
    decomposition with one factor for each pair (I_k, J_k) grow with.

    Raises:
        ValueError: If there are not as many input modes as output modes.

    Example:
        >>> pair((16, 16, 15, 15), (16, 4, 4, 4))
        (15, 15, 16, 16)
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
    """Multiply the first output mode by the number of gates, so that one map computes all gates.

    Vectors are row-major, so the output holds one gate after the other. Every published parameter
    count follows this rule.

    Example:
        >>> fuse_gates((4, 4, 4, 4), gates=4)
        (16, 4, 4, 4)
    """
    return (out_modes[0] * gates, *out_modes[1:])

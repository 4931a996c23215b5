"""Factorising sizes into modes, pairing modes, fusing gates."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankbench.layers.modes import factorise, fuse_gates, pair, product


@pytest.mark.parametrize(
    ("size", "d", "modes"),
    [
        (57600, 4, (16, 16, 15, 15)),
        (256, 4, (4, 4, 4, 4)),
        (4096, 5, (8, 8, 4, 4, 4)),
        (256, 12, (2,) * 8 + (1,) * 4),
        (64, 1, (64,)),
        (7, 3, (7, 1, 1)),
        (1, 2, (1, 1)),
        (81, 4, (3, 3, 3, 3)),
        (2 * 3 * 5 * 7, 2, (15, 14)),
        (7919 * 2, 2, (7919, 2)),
    ],
)
def test_factorise_known_sizes(size: int, d: int, modes: tuple[int, ...]) -> None:
    assert factorise(size, d) == modes


@given(st.integers(1, 20_000), st.integers(1, 12))
def test_factorise_splits_evenly(size: int, d: int) -> None:
    modes = factorise(size, d)
    assert len(modes) == d
    assert product(modes) == size
    assert list(modes) == sorted(modes, reverse=True)
    primes = _prime_factors(size)
    assert sum(mode > 1 for mode in modes) == min(d, len(primes)), "a one where factors remain"


@given(st.integers(1, 400), st.integers(1, 4))
def test_factorise_has_the_least_sum_of_all(size: int, d: int) -> None:
    divisors = [k for k in range(1, size + 1) if size % k == 0]
    every = (m for m in itertools.combinations_with_replacement(divisors, d) if product(m) == size)
    assert sum(factorise(size, d)) == min(map(sum, every))


def test_factorise_breaks_ties_towards_the_smaller_largest_mode() -> None:
    # 9 * 8 * 5 and 10 * 6 * 6 both multiply to 360 and add up to 22.
    assert factorise(360, 3) == (9, 8, 5)


def test_factorise_takes_a_video_frame() -> None:
    assert factorise(1920 * 1080 * 3, 8) == (9, 9, 8, 8, 8, 6, 5, 5)


@pytest.mark.parametrize(
    ("size", "d", "message"),
    [
        (0, 2, "size must be a positive integer, got 0"),
        (8, 0, "core_order must be a positive integer, got 0"),
        (8, 2.0, "core_order must be a positive integer, got 2.0"),
    ],
)
def test_factorise_refuses(size: int, d: int, message: str) -> None:
    with pytest.raises(ValueError) as error:
        factorise(size, d)
    assert str(error.value) == message


modes_pairs = st.integers(1, 5).flatmap(
    lambda d: st.tuples(
        st.lists(st.integers(1, 20), min_size=d, max_size=d).map(tuple),
        st.lists(st.integers(1, 20), min_size=d, max_size=d).map(tuple),
    )
)


@given(modes_pairs)
def test_pair_has_the_least_parameters_of_all_orders(
    modes: tuple[tuple[int, ...], tuple[int, ...]],
) -> None:
    in_modes, out_modes = modes
    paired = pair(in_modes, out_modes)

    def parameters(order: tuple[int, ...]) -> int:
        return sum(i * j for i, j in zip(order, out_modes, strict=True))

    assert sorted(paired) == sorted(in_modes)
    assert parameters(paired) == min(map(parameters, itertools.permutations(in_modes)))


def test_pair_puts_the_smallest_input_mode_where_the_gates_are() -> None:
    assert pair((20, 20, 18, 8), (16, 4, 4, 4)) == (8, 18, 20, 20)


def test_pair_refuses_different_lengths() -> None:
    with pytest.raises(ValueError) as error:
        pair((2, 3), (4,))
    assert str(error.value) == (
        "in_modes and out_modes must have equal lengths to be paired, got [2, 3] and [4]"
    )


def test_gates_fuse_into_the_first_output_mode() -> None:
    assert fuse_gates((4, 4, 4, 4), 4) == (16, 4, 4, 4)
    assert fuse_gates((4, 2), 1) == (4, 2)


def _prime_factors(size: int) -> list[int]:
    found, k = [], 2
    while size > 1:
        while size % k == 0:
            found.append(k)
            size //= k
        k += 1
    return found

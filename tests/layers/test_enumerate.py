"""What a map may be: within the parameters, of the right sizes, each layer once."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankbench.layers import LAYERS, Layer
from rankbench.layers.enumerate import Sizes, admissible, paired_modes

UCF11 = Sizes(in_features=57600, out_features=1024, gates=4)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 200), st.integers(1, 60), st.sampled_from([1, 3, 4]), st.integers(300, 3000))
def test_every_layer_has_the_sizes_and_no_more_parameters(
    in_features: int, hidden: int, gates: int, most: int
) -> None:
    sizes = Sizes(in_features=in_features, out_features=hidden * gates, gates=gates)
    found = admissible(sizes, most)
    assert len(set(found)) == len(found)
    counts = [layer.num_params for layer in found]
    assert counts == sorted(counts)
    assert counts[-1] <= most
    for layer in found:
        assert (layer.in_features, layer.out_features) == (in_features, hidden * gates)
        assert layer.out_modes[0] % gates == 0
        assert layer.name == "dense" or layer.num_params < layer.dense_params


def of(name: str, found: list[Layer]) -> list[Layer]:
    return [layer for layer in found if layer.name == name]


def test_all_decompositions_and_core_orders_are_looked_at() -> None:
    found = admissible(Sizes(in_features=256, out_features=256, gates=4), 70000)
    assert {layer.name for layer in found} == set(LAYERS)
    assert {layer.core_order for layer in of("tensor_train", found)} == set(range(2, 9))
    rings = {(len(layer.in_modes), len(layer.out_modes)) for layer in of("tensor_ring", found)}
    assert {(2, 2), (8, 5), (3, 6)} <= rings
    assert {min(layer.ranks) for layer in of("block_term", found)} >= {2, 3}


def test_the_largest_rank_that_fits_is_there() -> None:
    found = [layer for layer in of("cp", admissible(UCF11, 4000)) if layer.core_order == 4]
    one = found[0]
    assert one.ranks == (1,)
    assert found[-1].ranks == (4000 // one.num_params,)
    assert one.out_modes == (16, 4, 4, 4)


def test_ranks_are_tapered_and_cut_where_more_adds_nothing() -> None:
    found = admissible(Sizes(in_features=64, out_features=64), 4095)
    trains = [layer.ranks for layer in of("tensor_train", found) if layer.core_order == 4]
    assert (1, 8, 8, 8, 1) in trains
    assert (1, 4, 8, 4, 1) in trains
    for layer in of("tensor_train", found):
        pairs = [i * j for i, j in zip(layer.in_modes, layer.out_modes, strict=True)]
        for k in range(1, len(pairs)):
            assert layer.ranks[k] <= min(math.prod(pairs[:k]), math.prod(pairs[k:]))
    rings = {layer.ranks for layer in of("tensor_ring", found) if layer.core_order == 2}
    assert {(4, 2, 2, 2), (2, 2, 2, 2)} <= rings
    tucker = {layer.ranks for layer in of("tucker", found) if layer.in_modes == (2, 2, 4, 4)}
    assert {(4, 4, 4, 4), (2, 2, 2, 2)} <= tucker


def test_modes_that_ran_out_on_both_sides_are_left_out() -> None:
    found = list(paired_modes(Sizes(in_features=6, out_features=6)))
    assert [len(in_modes) for in_modes, _ in found] == [2, 3, 4]
    assert all(i * j > 1 for modes in found for i, j in zip(*modes, strict=True))


def test_nothing_that_fits_names_the_smallest() -> None:
    with pytest.raises(ValueError) as caught:
        admissible(UCF11, 20)
    told = str(caught.value)
    assert told.startswith("--max-params 20 is below every layer from 57600 to 1024 features; ")
    least = int(told.partition("the smallest has ")[2].partition(" ")[0])
    assert admissible(UCF11, least)[0].num_params == least
    with pytest.raises(ValueError):
        admissible(UCF11, least - 1)


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ({"in_features": 0, "out_features": 4}, "--in must be a positive integer, got 0"),
        (
            {"in_features": 4, "out_features": 10, "gates": 4},
            "--out is of all gates together and must be a multiple of the cell's 4, got 10;"
            " or choose --cell rnn or none",
        ),
    ],
)
def test_sizes_that_cannot_be_are_told(sizes: dict[str, int], told: str) -> None:
    with pytest.raises(ValueError) as caught:
        Sizes(**sizes)
    assert str(caught.value) == told

"""Permuted inputs: an order is a permutation, keeps its seed, and moves features as it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rankbench.layers.settings import LayerSettings
from rankbench.tasks.base import Point
from rankbench.tasks.clips.motion import Motion, Moving
from rankbench.tasks.permuting import PERMUTATIONS, new_order
from rankbench.tasks.recovery.task import Recovery
from rankbench.training.settings import Training

SMALL = Recovery(in_features=12, out_features=16, samples=200, target="ring")
CLIPS = Motion(size=4, classes=2, clips_a_class=3, time_steps=2)


@given(st.integers(1, 400), st.sampled_from(PERMUTATIONS), st.integers(0, 5))
def test_an_order_has_every_feature_once_and_is_its_seeds(
    size: int, permute: str, seed: int
) -> None:
    found = new_order(size, permute, seed)
    assert torch.equal(found.sort().values, torch.arange(size))
    assert torch.equal(found, new_order(size, permute, seed))


@given(st.sampled_from([4, 8, 12, 30, 64, 81, 256]), st.integers(0, 20))
def test_modes_are_never_left_as_they_are(size: int, seed: int) -> None:
    assert not torch.equal(new_order(size, "modes", seed), torch.arange(size))


def test_modes_of_a_size_with_two_primes_are_transposed() -> None:
    assert new_order(6, "modes", 0).tolist() == [0, 2, 4, 1, 3, 5]


def test_a_permuted_recovery_has_the_columns_of_w_in_another_order() -> None:
    plain = SMALL.true_weight()
    moved = replace(SMALL, permute="pixels", permute_seed=3)
    torch.testing.assert_close(moved.true_weight(), plain[:, new_order(12, "pixels", 3)])
    assert [task.describe()["permute"] for task in (SMALL, moved)] == [None, "pixels"]


def test_permuted_clips_have_the_same_pixels_in_one_other_order() -> None:
    plain, moved = Moving(CLIPS), Moving(replace(CLIPS, permute="modes", permute_seed=1))
    assert np.array_equal(moved.rows, plain.rows[:, new_order(16, "modes", 1)])
    assert moved.data_hash != plain.data_hash
    assert Moving(replace(CLIPS, data_seed=0, permute="none")).data_hash == plain.data_hash


def test_an_input_in_its_own_order_keeps_the_id_from_before_it_could_have_another() -> None:
    layer = LayerSettings(decomposition="low_rank", rank=2).resolve(12, 16)
    point = Point(task=SMALL, layer=layer, training=Training(epochs=1))
    assert point.point_id == "42c9bda74d346333"
    other = replace(point, task=replace(SMALL, permute="pixels"))
    assert other.point_id != point.point_id


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"permute": "mode"}, r"task\.permute must be one of: none, pixels, modes; got 'mode'"),
        ({"permute": "modes", "permute_seed": -1}, r"task\.permute_seed must be an integer of at"),
        (
            {"permute_seed": 1},
            r"must be 0 with task\.permute=none, which draws no permutation; got 1",
        ),
    ],
)
def test_wrong_settings_are_told(change: dict[str, object], message: str) -> None:
    for task in (SMALL, CLIPS):
        with pytest.raises(ValueError, match=message):
            replace(task, **change)

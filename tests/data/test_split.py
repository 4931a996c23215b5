"""Splits: nothing on two sides, everything on one, every class on both where it can be."""

from __future__ import annotations

import re
from collections import Counter
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankbench.data.split import (
    assign_folds,
    assign_groups_in_turn,
    groups_are_known,
    hold_out,
    sides_of_column,
    sides_of_fold,
    sides_of_official,
)


@st.composite
def clip_sets(draw: st.DrawFn, mixed: bool = False) -> tuple[list[str], list[int]]:
    """Groups and labels of clips; a group has one class unless `mixed`."""
    group_class = draw(st.lists(st.integers(0, 3), min_size=1, max_size=20))
    sizes = draw(st.lists(st.integers(1, 4), min_size=len(group_class), max_size=len(group_class)))
    groups = [f"g{k}" for k, size in enumerate(sizes) for _ in range(size)]
    labels = [label for label, n in zip(group_class, sizes, strict=True) for _ in range(n)]
    if mixed:
        labels = draw(st.lists(st.integers(0, 3), min_size=len(groups), max_size=len(groups)))
    order = draw(st.permutations(range(len(groups))))
    return [groups[k] for k in order], [labels[k] for k in order]


folds_and_seed = st.tuples(st.integers(2, 6), st.integers(0, 2**32))


@given(clip_sets(mixed=True), folds_and_seed)
def test_every_clip_is_in_one_fold_and_no_group_in_two(
    clips: tuple[list[str], list[int]], how: tuple[int, int]
) -> None:
    groups, labels = clips
    folds, seed = how
    assigned = assign_folds(groups, labels, folds, seed)
    assert assigned.shape == (len(groups),)
    assert set(assigned.tolist()) <= set(range(folds))
    assert len(set(zip(groups, assigned.tolist(), strict=True))) == len(set(groups))
    for fold in set(assigned.tolist()):
        if (assigned == fold).all():
            continue
        train, test = sides_of_fold(assigned, fold)
        assert sorted([*train, *test]) == list(range(len(groups)))
        assert not {groups[k] for k in train} & {groups[k] for k in test}


@given(clip_sets(), folds_and_seed)
def test_a_class_with_enough_groups_is_on_both_sides_of_every_fold(
    clips: tuple[list[str], list[int]], how: tuple[int, int]
) -> None:
    groups, labels = clips
    folds, seed = how
    assigned = assign_folds(groups, labels, folds, seed)
    of_class = Counter(dict(zip(groups, labels, strict=True)).values())
    for label in [label for label, count in of_class.items() if count >= folds]:
        for fold in range(folds):
            train, test = sides_of_fold(assigned, fold)
            assert label in {labels[k] for k in train}
            assert label in {labels[k] for k in test}


@given(clip_sets(), folds_and_seed)
def test_each_class_is_dealt_evenly(
    clips: tuple[list[str], list[int]], how: tuple[int, int]
) -> None:
    groups, labels = clips
    folds, seed = how
    fold_of = dict(zip(groups, assign_folds(groups, labels, folds, seed).tolist(), strict=True))
    label_of = dict(zip(groups, labels, strict=True))
    for label in set(labels):
        dealt = Counter(fold_of[group] for group in fold_of if label_of[group] == label)
        counts = [dealt[fold] for fold in range(folds)]
        assert max(counts) - min(counts) <= 1


@given(clip_sets(mixed=True), folds_and_seed, st.randoms(use_true_random=False))
def test_the_order_of_the_clips_does_not_matter(
    clips: tuple[list[str], list[int]], how: tuple[int, int], random: Random
) -> None:
    groups, labels = clips
    order = list(range(len(groups)))
    random.shuffle(order)
    assigned = assign_folds(groups, labels, *how)
    shuffled = assign_folds([groups[k] for k in order], [labels[k] for k in order], *how)
    assert shuffled.tolist() == assigned[order].tolist()


def test_clips_split_one_by_one_when_each_is_its_own_group() -> None:
    labels = [0] * 50 + [1] * 25
    assigned = assign_folds(range(75), labels, 5, seed=0)
    for fold in range(5):
        held = np.flatnonzero(assigned == fold)
        assert Counter(labels[k] for k in held) == {0: 10, 1: 5}


def test_groups_that_hold_every_class_are_dealt_evenly() -> None:
    """Weizmann's groups are actors, each of whom performs every action."""
    groups = [f"actor{k}" for k in range(9) for _ in range(10)]
    assigned = assign_folds(groups, list(range(10)) * 9, 3, seed=1)
    assert Counter(assigned.tolist()) == {0: 30, 1: 30, 2: 30}


def test_the_seed_decides_and_repeats() -> None:
    groups = [f"g{k}" for k in range(40)]
    labels = [k % 2 for k in range(40)]
    first, again, other = (assign_folds(groups, labels, 4, seed).tolist() for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_a_fold_that_empties_a_side_is_refused() -> None:
    assigned = assign_folds(["a", "a", "b"], [0, 0, 1], 3, seed=0)
    with pytest.raises(
        ValueError,
        match=r"^task\.fold=2 leaves one side of the split empty: 3 clips in 2 folds;"
        r" set fewer task\.folds or another task\.fold$",
    ):
        sides_of_fold(assigned, 2)
    with pytest.raises(ValueError, match=r"^task\.fold=0 leaves one side"):
        sides_of_fold(np.zeros(3, dtype=np.int64), 0)


def test_a_column_says_train_or_anything_else() -> None:
    train, test = sides_of_column("side", ["train", "test", "dev", "train"])
    assert train.tolist() == [0, 3]
    assert test.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("values", "found"), [(["train"] * 2, "train"), (["b", "a", "a"], "a, b"), ([1, 2], "1, 2")]
)
def test_a_column_with_one_side_only_is_refused(values: list[object], found: str) -> None:
    with pytest.raises(
        ValueError,
        match="^task.split_column='side' must be 'train' for some clips"
        f" and have another value for others; its values: {found}$",
    ):
        sides_of_column("side", values)


@given(clip_sets(mixed=True), folds_and_seed)
def test_what_is_held_out_shares_no_group_with_what_is_left(
    clips: tuple[list[str], list[int]], drawn: tuple[int, int]
) -> None:
    groups, labels = clips
    side = np.arange(len(groups))[::2]
    if len({groups[clip] for clip in side}) == 1:
        with pytest.raises(
            ValueError,
            match=r"^task\.validation=true needs at least two groups of clips on the training side",
        ):
            hold_out(side, groups, labels, *drawn)
        return
    left, taken = hold_out(side, groups, labels, *drawn)
    assert sorted([*left, *taken]) == side.tolist()
    assert not {groups[clip] for clip in left} & {groups[clip] for clip in taken}


def test_groups_are_numbered_by_the_end_of_their_names() -> None:
    groups = ["v_biking_02", "v_diving_10", "v_diving_2", "v_biking_01"]
    assert assign_groups_in_turn(groups).tolist() == [1, 2, 1, 0]
    message = (
        "task.split=leave_one_group_out needs groups whose names all end in a number, or none"
        " of them; got 'daria' and 'v_biking_02'; choose task.split=group"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        assign_groups_in_turn([*groups, "daria"])
    assert assign_groups_in_turn(["ira", "daria", "ira", "moshe"]).tolist() == [1, 0, 1, 2]


@pytest.mark.parametrize(
    ("marks", "message"),
    [
        (
            [1, 2, 3],
            "column 's' must contain only 1 (train), 2 (test), 0 (in neither), -1 (not listed);"
            " got 3",
        ),
        ([1, 1, 0], "column 's' must have clips to train on and to test on; got 2 and 0"),
    ],
)
def test_official_marks_that_make_no_split(marks: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        sides_of_official("s", marks)


@pytest.mark.parametrize(
    ("groups", "clips"),
    [
        (["v_golf_g01_c01", "v_golf_g01_c02"], ["v_golf_g01_c01", "v_golf_g01_c02"]),
        ([7, 8], [7, 8]),
        # Two classes number their clips alike: ids are paths then, and "1" is no group of both.
        (["1", "2", "1"], ["run/1.avi", "run/2.avi", "walk/1.avi"]),
        (["1", "1"], ["run/1", "walk/1"]),  # folders of pictures
    ],
)
def test_a_group_that_is_a_clip_s_own_name_is_not_known(
    groups: list[object], clips: list[object]
) -> None:
    assert not groups_are_known(groups, clips)


@pytest.mark.parametrize(
    ("groups", "clips"),
    [
        (["g1", "g1"], ["a", "b"]),
        (["g1", "g2"], ["a", "b"]),  # one clip of each
        (["April_09", "run_3"], ["April_09_run_f_nm_np1_ba_goo_0", "run_3"]),
        (["ann", "ben"], ["run/ann/ann.avi", "run/ben/ben.avi"]),  # named by their folders
    ],
)
def test_a_group_of_another_name_is_known(groups: list[object], clips: list[object]) -> None:
    assert groups_are_known(groups, clips)

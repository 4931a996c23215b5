"""Splitting clips into a training and a test side, as pure functions of their labels."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
TRAIN = "train"  # what a split column says of a clip on the training side
OFFICIAL = {
    1: "train",
    2: "test",
    0: "in neither",
    -1: "not listed",
}  # what HMDB51's split files say of a clip
OFFICIAL_SPLITS = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Sides:
    """Indices of the clips to train on, to test on, and to choose an epoch by (or none)."""

    train: Indices
    test: Indices
    validation: Indices


def assign_folds(
    groups: Sequence[Hashable], labels: Sequence[int], folds: int, seed: int
) -> Indices:
    """The fold, 0 to folds - 1, of every clip: whole groups, stratified by class.

    The groups are shuffled and dealt one by one, each to the fold that has the fewest groups
    of its classes so far (then the fewest groups): every class is dealt round-robin. A group of
    its own for every clip splits by clip. The order of the clips does not matter.

    A class with at least `folds` groups is in every fold, where no group mixes classes.
    """
    classes: dict[Hashable, set[int]] = defaultdict(set)
    for group, label in zip(groups, labels, strict=True):
        classes[group].add(int(label))
    names = sorted(classes, key=str)
    of_class: Counter[tuple[int, int]] = Counter()
    of_all: Counter[int] = Counter()
    fold_of: dict[Hashable, int] = {}
    for position in np.random.default_rng(seed).permutation(len(names)):
        name = names[position]
        seen = [sum(of_class[label, fold] for label in classes[name]) for fold in range(folds)]
        fold = min(range(folds), key=lambda k: (seen[k], of_all[k]))
        fold_of[name] = fold
        of_all[fold] += 1
        of_class.update((label, fold) for label in classes[name])
    return np.array([fold_of[group] for group in groups], dtype=np.int64)


def sides_of_fold(assigned: Indices, fold: int) -> tuple[Indices, Indices]:
    """Indices of the clips to train on and to test on, where `fold` is held out.

    Raises ValueError when a side is empty.
    """
    held_out = assigned == fold
    if held_out.all() or not held_out.any():
        used = len(np.unique(assigned))
        raise ValueError(
            f"task.fold={fold} leaves one side of the split empty:"
            f" {len(assigned)} clips in {used} folds; set fewer task.folds or another task.fold"
        )
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def sides_of_column(name: str, values: Sequence[object]) -> tuple[Indices, Indices]:
    """Indices of the clips whose value is "train", and of all the others.

    Raises ValueError when a side is empty.
    """
    train = np.array([str(value) == TRAIN for value in values], dtype=bool)
    if train.all() or not train.any():
        found = ", ".join(sorted({str(value) for value in values})[:5])
        raise ValueError(
            f"task.split_column={name!r} must say {TRAIN!r} for some clips"
            f" and something else for others; it says: {found}"
        )
    return np.flatnonzero(train), np.flatnonzero(~train)


def groups_are_known(groups: Sequence[Hashable], clips: Sequence[Hashable]) -> bool:
    """Whether some clip has a group other than itself.

    Where `rankbench data` finds no group of a clip, it stores the clip's own name as its group.

    Args:
        groups: the group of every clip.
        clips: the id of every clip: its name, or its path (class/name.avi) where clips of two
            classes share a name.
    """
    return any(map(_has_group, groups, clips))


def _has_group(group: Hashable, clip: Hashable) -> bool:
    path = PurePosixPath(str(clip))
    named_by_a_folder = len(path.parts) > 2  # class/group/clip
    return named_by_a_folder or str(group) not in (str(clip), path.name, path.stem)


def assign_groups_in_turn(groups: Sequence[str]) -> Indices:
    """The fold of every clip, to leave one group out in each.

    Where names of groups end in a number it is that number's rank: UCF11's own protocol, in which
    `v_biking_07` and `v_diving_07` share a fold. Where none does it is the rank of the name.

    Raises ValueError where some names end in a number and others do not.
    """
    ends = [re.search(r"\d+$", str(group)) for group in groups]
    numbers = [int(end.group()) for end in ends if end is not None]
    if numbers and len(numbers) < len(groups):
        odd, numbered = (
            next(group for group, end in zip(groups, ends, strict=True) if (end is None) is bare)
            for bare in (True, False)
        )
        raise ValueError(
            "task.split=leave_one_group_out needs groups whose names all end in a number, or none,"
            f" got {odd!r} and {numbered!r}; choose split group"
        )
    order: list[Any] = numbers or list(groups)
    _, folds = np.unique(order, return_inverse=True)
    return folds.astype(np.int64)


def sides_of_official(name: str, values: Sequence[int]) -> tuple[Indices, Indices]:
    """Indices of the clips that column `name` marks 1, to train on, and 2, to test on.

    Source: the three splits that HMDB51 is distributed with; clips marked 0 or -1 are in neither.

    Raises ValueError for another mark, or when a side is empty.
    """
    marks = np.asarray(values)
    unknown = sorted({str(mark) for mark in marks.tolist()} - {str(mark) for mark in OFFICIAL})
    if unknown:
        meanings = ", ".join(f"{mark} ({side})" for mark, side in OFFICIAL.items())
        raise ValueError(f"column {name!r} must hold {meanings}; it holds {unknown[0]}")
    train, test = np.flatnonzero(marks == 1), np.flatnonzero(marks == 2)
    if not (len(train) and len(test)):
        raise ValueError(f"column {name!r} has {len(train)} clips to train on, {len(test)} to test")
    return train, test


def hold_out(
    side: Indices, groups: Sequence[Hashable], labels: Sequence[int], folds: int, seed: int
) -> tuple[Indices, Indices]:
    """`side` without whole groups, and what was taken: about one of `folds` parts of it.

    Raises ValueError when nothing would be left or taken.
    """
    own = [groups[clip] for clip in side]
    assigned = assign_folds(own, [labels[clip] for clip in side], folds, seed)
    taken = assigned == 0
    if taken.all() or not taken.any():
        raise ValueError(
            f"task.validation=true leaves nothing to train on: {len(set(own))} groups of clips on"
            " the training side; bring more, or set task.validation=false"
        )
    return side[~taken], side[taken]

"""Split clips into training, validation and test, as pure functions of groups and labels."""

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
# The value of `task.split_column` for clips on the training side.
TRAIN = "train"
# The meaning of the marks in HMDB51's split files.
OFFICIAL = {
    1: "train",
    2: "test",
    0: "in neither",
    -1: "not listed",
}
OFFICIAL_SPLITS = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Sides:
    """Indices of the clips on each side."""

    train: Indices
    """Clips to train on."""
    test: Indices
    """Clips to test on."""
    validation: Indices
    """Clips for early stopping and pruning; may be empty."""


def assign_folds(
    groups: Sequence[Hashable], labels: Sequence[int], folds: int, seed: int
) -> Indices:
    """Assign clips to folds, keeping groups together and stratifying by class.

    The groups are shuffled and assigned one by one to the fold that has the fewest groups of their
    classes so far, then the fewest groups. If no group mixes classes, a class with at least `folds`
    groups is in every fold. The order of the clips has no influence.

    Args:
        groups: Group of each clip; a different one for every clip splits by clip.
        labels: Class of each clip.
        folds: Number of folds.
        seed: Seed of the shuffling.

    Returns:
        The fold of each clip, 0 to folds - 1.
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
    """Return the indices of the clips to train on, and of those in `fold`, to test on.

    Raises:
        ValueError: A side is empty.
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
    """Return the indices of the clips whose value is "train", and of all other clips.

    Args:
        name: Name of the column, for the error message.
        values: The value of each clip.

    Raises:
        ValueError: A side is empty.
    """
    train = np.array([str(value) == TRAIN for value in values], dtype=bool)
    if train.all() or not train.any():
        distinct = ", ".join(sorted({str(value) for value in values})[:5])
        raise ValueError(
            f"task.split_column={name!r} must be {TRAIN!r} for some clips"
            f" and have another value for others; its values: {distinct}"
        )
    return np.flatnonzero(train), np.flatnonzero(~train)


def groups_are_known(groups: Sequence[Hashable], clips: Sequence[Hashable]) -> bool:
    """Return whether some clip has a group other than its own name.

    If `rankbench data` finds no group of a clip, it stores the clip's name as its group.

    Args:
        groups: Group of each clip.
        clips: Id of each clip: its name, or its path (class/name.avi) if clips share names.
    """
    return any(map(_has_group, groups, clips))


def _has_group(group: Hashable, clip: Hashable) -> bool:
    path = PurePosixPath(str(clip))
    named_by_a_folder = len(path.parts) > 2  # class/group/clip
    return named_by_a_folder or str(group) not in (str(clip), path.name, path.stem)


def assign_groups_in_turn(groups: Sequence[str]) -> Indices:
    """Assign clips to folds that each leave one group out.

    If names of groups end in a number, the fold is the rank of that number. This is UCF11's
    protocol, in which `v_biking_07` and `v_diving_07` share a fold. If no name does, the fold is
    the rank of the name.

    Raises:
        ValueError: Some names end in a number and others do not.

    Example:
        >>> assign_groups_in_turn(["v_biking_07", "v_diving_07", "v_biking_02"]).tolist()
        [1, 1, 0]
    """
    ends = [re.search(r"\d+$", str(group)) for group in groups]
    numbers = [int(end.group()) for end in ends if end is not None]
    if numbers and len(numbers) < len(groups):
        odd, numbered = (
            next(group for group, end in zip(groups, ends, strict=True) if (end is None) is bare)
            for bare in (True, False)
        )
        raise ValueError(
            "task.split=leave_one_group_out needs groups whose names all end in a number, or none"
            f" of them; got {odd!r} and {numbered!r}; choose task.split=group"
        )
    order: list[Any] = numbers or list(groups)
    _, folds = np.unique(order, return_inverse=True)
    return folds.astype(np.int64)


def sides_of_official(name: str, values: Sequence[int]) -> tuple[Indices, Indices]:
    """Return the indices of the clips marked 1, to train on, and of those marked 2, to test on.

    The marks are those of the splits that HMDB51 is distributed with. Clips marked 0 or -1 are on
    neither side.

    Args:
        name: Name of the column, for error messages.
        values: The mark of each clip.

    Raises:
        ValueError: A mark is unknown, or a side is empty.
    """
    marks = np.asarray(values)
    unknown = sorted({str(mark) for mark in marks.tolist()} - {str(mark) for mark in OFFICIAL})
    if unknown:
        meanings = ", ".join(f"{mark} ({side})" for mark, side in OFFICIAL.items())
        raise ValueError(f"column {name!r} must contain only {meanings}; got {unknown[0]}")
    train, test = np.flatnonzero(marks == 1), np.flatnonzero(marks == 2)
    if not (len(train) and len(test)):
        raise ValueError(
            f"column {name!r} must have clips to train on and to test on;"
            f" got {len(train)} and {len(test)}"
        )
    return train, test


def hold_out(
    side: Indices, groups: Sequence[Hashable], labels: Sequence[int], folds: int, seed: int
) -> tuple[Indices, Indices]:
    """Hold whole groups of a side out, about one of `folds` parts.

    Args:
        side: Indices of the clips on the side.
        groups: Group of each clip of the data set.
        labels: Class of each clip of the data set.
        folds: Number of parts.
        seed: Seed of the choice.

    Returns:
        The indices that remain, and those that are held out.

    Raises:
        ValueError: One of both would be empty.
    """
    groups_of_side = [groups[clip] for clip in side]
    assigned = assign_folds(groups_of_side, [labels[clip] for clip in side], folds, seed)
    held_out = assigned == 0
    if held_out.all() or not held_out.any():
        raise ValueError(
            "task.validation=true needs at least two groups of clips on the training side;"
            f" got {len(set(groups_of_side))}; use more data, or set task.validation=false"
        )
    return side[~held_out], side[held_out]

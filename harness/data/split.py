"""Splitting clips into a training and a test side, as pure functions of their labels."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
TRAIN = "train"  # what a split column says of a clip on the training side


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

"""The base class of tasks that classify clips: choose frames, split clips, train and test.

Letters: c clips.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Int64

from rankbench.common.checks import check_int_at_least, one_of, positive_int
from rankbench.data.clips import Clips
from rankbench.data.split import (
    OFFICIAL_SPLITS,
    Indices,
    Sides,
    assign_folds,
    assign_groups_in_turn,
    groups_are_known,
    hold_out,
    sides_of_column,
    sides_of_fold,
    sides_of_official,
)
from rankbench.layers.planning.choice import cost as layer_cost
from rankbench.tasks.base import Context, Row, RunCost, Task
from rankbench.tasks.clips.scores import Scores
from rankbench.tasks.compatibility import check_cell
from rankbench.training.early_stopping import Monitor

if TYPE_CHECKING:
    from torch import Tensor

    from rankbench.tasks.base import Point

# The column whose values are never divided between training and test, by `split`.
UNITS = {"group": "group", "clip": "clip_id", "supergroup": "supergroup"}
SPLITS = (*UNITS, "leave_one_group_out", "official", "column")
SAMPLINGS = ("even", "random")

# The size of UCF11 as published, for time estimates without the data.
PUBLISHED_CLIPS = 1600
PUBLISHED_TIME_STEPS = 6
# Tensor operations of a training step (forward, backward and Adam), counted for LSTMs.
CALLS_A_STEP = 90
CALLS_A_TIME_STEP = 48
CALLS_A_CORE = 44


@dataclass(frozen=True, kw_only=True)
class ClipTask(Task):
    """Classify clips with a cell that sees their frames one after the other.

    The splits `group`, `supergroup` and `leave_one_group_out` need data in which several clips
    share a group. If every clip has a group of its own, the run fails with an error.

    Raises:
        ValueError: A value is out of its range.
    """

    uses_cell: ClassVar[bool] = True
    trains: ClassVar[bool] = True

    classes: int = 11
    """Number of classes; labels are 0 to classes - 1."""
    time_steps: int | None = None
    """Frames that the cell sees of each clip; None for all, if all clips have equally many."""
    where: Any = ()
    """Columns and the values that a clip, or a row of a Parquet file, must have to be used."""
    split: str = "group"
    """The unit that is never divided between training and test, or a published split.

    `group` (clips of one scene), `supergroup` (groups with the same footage) and `clip` make
    `folds` folds, stratified by class. `leave_one_group_out` is UCF11's protocol: it holds out the
    groups with the `fold`-th number, or the `fold`-th group if names have no number. `official` is
    HMDB51's: column hmdb_split1, 2 or 3 for `fold` 0, 1 or 2. `column` trains on the clips whose
    `split_column` is "train" and tests on all others.
    """
    split_column: str = ""
    """Column of the data for `split=column`."""
    folds: int = 5
    """Number of folds; 2 or more."""
    fold: int = 0
    """Index of the fold that is held out, from 0."""
    split_seed: int = 0
    """Seed that assigns units to folds."""
    validation: bool = False
    """Whether to hold out one of `folds` parts of the training side for validation.

    The part consists of whole groups, or of clips if the split is by clip. Early stopping and
    pruning use its accuracy.
    """
    sampling: str = "even"
    """How frames are chosen: `even` spreads them evenly over the clip.

    `random` draws others each time a clip is trained on, in ascending order (as the papers do), and
    spreads them evenly in tests.
    """

    def __post_init__(self) -> None:
        positive_int("task.classes", self.classes)
        if self.time_steps is not None:
            positive_int("task.time_steps", self.time_steps)
        one_of("task.split", self.split, SPLITS)
        if self.split == "column" and not self.split_column:
            raise ValueError("task.split=column needs task.split_column, a column of the data")
        one_of("task.validation", self.validation, (True, False))
        one_of("task.sampling", self.sampling, SAMPLINGS)
        self._check_folds()
        object.__setattr__(self, "where", _pairs(self.where))

    @abstractmethod
    def clips(self) -> Clips:
        """Load the clips.

        Raises:
            ValueError: The data is missing or cannot be used.
        """

    @abstractmethod
    def dataset(self) -> str:
        """Return the name of the data set."""

    @abstractmethod
    def scaling(self) -> tuple[float, float]:
        """Return (shift, scale): a stored value p enters the network as (p - shift) / scale."""

    def check(self, point: Point) -> None:
        check_cell(self, point)

    def monitor(self) -> Monitor | None:
        return ("validation_accuracy", "maximize") if self.validation else None

    def describe(self) -> dict[str, Any]:
        column = f":{self.split_column}" if self.split == "column" else ""
        return {"split": self.split + column}

    def run_cost(self, point: Point) -> RunCost:
        """Estimate the size of a run from the published size of UCF11; the data is not read."""
        assert point.cell is not None
        assert point.training is not None
        batch, steps = point.training.batch_size, self.time_steps or PUBLISHED_TIME_STEPS
        batches = math.ceil(PUBLISHED_CLIPS * (self.folds - 1) / self.folds / batch)
        calls = CALLS_A_STEP + CALLS_A_TIME_STEP * steps + CALLS_A_CORE * len(point.layer.cores())
        # `tested` is the number of clips tested per clip trained on.
        rows, tested = self.rows(point), 1 / (self.folds - 1)
        values = rows * point.layer.in_features
        return RunCost(
            flops=(3.0 + tested) * layer_cost(point.layer, rows).flops,
            calls=calls,
            steps=point.training.epochs * batches,
            values=round((1.0 + tested) * values),
            masked=values if point.training.input_dropout else 0,
        )

    def rows(self, point: Point) -> int:
        assert point.training is not None
        return point.training.batch_size * (self.time_steps or PUBLISHED_TIME_STEPS)

    def run(self, point: Point, context: Context) -> Iterator[Row]:
        from rankbench.tasks.clips.classifier import (  # loads torch
            ClassifierTrainer,
            ClipClassifier,
        )
        from rankbench.tasks.learning import learn

        assert point.training is not None
        clips = self.clips()
        labels, sides = self.labels(clips), self.sides(clips)
        model = ClipClassifier(point, context, self.classes, self.scaling())
        model_params = sum(parameter.numel() for parameter in model.parameters())
        steps = self._shown(clips)
        input_map = model.cell.input_map.facts(point.training.batch_size * steps)
        yield "runs", {**self._facts(clips, sides), **input_map, "model_params": model_params}
        trainer = ClassifierTrainer(
            model,
            clips,
            labels,
            sides,
            point.training,
            context,
            shown=steps,
            random=self.sampling == "random",
        )
        scores = Scores(len(sides.test))

        def summarise(record: dict[str, Any]) -> dict[str, Any]:
            return {**scores.add(record), "data_wait_share": trainer.loader.wait_share}

        yield from learn(trainer, point, context, data_hash=clips.data_hash, summarise=summarise)

    def labels(self, clips: Clips) -> Int64[Tensor, " c"]:
        """Return the class of every clip.

        Raises:
            ValueError: A label is not in 0 to classes - 1.
        """
        import torch

        labels = clips.column("label").astype(np.int64)
        wrong = np.flatnonzero((labels < 0) | (labels >= self.classes))
        if len(wrong):
            clip = wrong[0]
            raise ValueError(
                f"label {labels[clip]} of clip {clips.column('clip_id')[clip]} is not in"
                f" 0..{self.classes - 1}; task.classes is {self.classes}"
            )
        return torch.from_numpy(labels)

    def sides(self, clips: Clips) -> Sides:
        """Divide the clips into training, validation and test, by `split` and `validation`.

        Raises:
            ValueError: A side would be empty, a column is missing, or the data has no groups.
        """
        self._check_groups(clips)
        train, test = self._two_sides(clips)
        if not self.validation:
            return Sides(train=train, test=test, validation=train[:0])
        groups = clips.column(UNITS.get(self.split, "group")).tolist()
        labels = clips.column("label").tolist()
        train, validation = hold_out(train, groups, labels, self.folds, self.split_seed)
        return Sides(train=train, test=test, validation=validation)

    def _check_groups(self, clips: Clips) -> None:
        """Raise ValueError if the split needs groups and every clip has a group of its own."""
        by_group = self.split in (*UNITS, "leave_one_group_out")
        unit = UNITS.get(self.split, "group")
        if unit == "clip_id" or not (by_group or self.validation):
            return
        groups = clips.column(unit).tolist()
        one_each = self.split in UNITS and len(set(groups)) == len(groups)
        if not one_each and groups_are_known(groups, clips.column("clip_id").tolist()):
            return
        setting, instead = f"task.split={self.split}", "task.split=clip"
        if not by_group:
            setting, instead = f"task.validation=true with {setting}", "task.validation=false"
        raise ValueError(
            f"{setting} needs data with groups, but in {self.dataset()} each clip is a {unit} of"
            f" its own: set {instead}, or use data in which several clips share a {unit}"
        )

    def _two_sides(self, clips: Clips) -> tuple[Indices, Indices]:
        if self.split == "column":
            return sides_of_column(self.split_column, clips.column(self.split_column).tolist())
        if self.split == "official":
            name = f"hmdb_split{self.fold + 1}"
            return sides_of_official(name, clips.column(name).tolist())
        if self.split == "leave_one_group_out":
            folds = assign_groups_in_turn(clips.column("group").tolist())
            return sides_of_fold(folds, self.fold)
        groups = clips.column(UNITS[self.split]).tolist()
        labels = clips.column("label").tolist()
        return sides_of_fold(assign_folds(groups, labels, self.folds, self.split_seed), self.fold)

    def _shown(self, clips: Clips) -> int:
        """Return the number of frames that the cell sees of each clip.

        Raises:
            ValueError: A clip has fewer, or `time_steps` is None and the clips differ in length.
        """
        least = int(clips.count.min())
        if self.time_steps is None and int(clips.count.max()) == least:
            return least
        if self.time_steps is None or self.time_steps > least:
            clip = clips.column("clip_id")[clips.count.argmin()]
            raise ValueError(
                f"task.time_steps must be at most {least}, the number of frames of clip {clip};"
                f" got {self.time_steps}"
            )
        return self.time_steps

    def _check_folds(self) -> None:
        check_int_at_least("task.folds", self.folds, 2)
        check_int_at_least("task.split_seed", self.split_seed, 0)
        check_int_at_least("task.fold", self.fold, 0)
        if self.split == "official":
            one_of("task.fold (with split official)", self.fold, tuple(range(OFFICIAL_SPLITS)))
        elif self.split != "leave_one_group_out" and self.fold >= self.folds:
            raise ValueError(
                f"task.fold must be less than task.folds, got {self.fold} of {self.folds}"
            )

    def _facts(self, clips: Clips, sides: Sides) -> dict[str, Any]:
        return {
            **self.describe(),
            "dataset": self.dataset(),
            "fold": self.fold,
            "folds": self.folds if self.split in UNITS else None,
            "sampling": self.sampling,
            "time_steps": self._shown(clips),
            "ordered": clips.ordered,
            "train_size": len(sides.train),
            "validation_size": len(sides.validation),
            "test_size": len(sides.test),
            "data_hash": clips.data_hash,
        }


def _pairs(where: Any) -> tuple[tuple[str, Any], ...]:
    """Return the (column, value) pairs of a mapping, sorted by column."""
    items = where.items() if isinstance(where, Mapping) else where
    try:
        pairs = tuple(sorted((column, value) for column, value in items))
    except (TypeError, ValueError):
        pairs = ((None, None),)
    for column, value in pairs:
        if not isinstance(column, str) or not isinstance(value, str | int | float):
            raise ValueError(f"task.where must map columns to single values, got {where!r}")
    return pairs

"""Classify clips of video frames with one recurrent cell and a linear head.

Letters: c clips.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from harness.checks import one_of, positive_int
from harness.compute import Execution
from harness.data.frames import Clips, load_clips
from harness.data.index import Decoding
from harness.data.split import (
    OFFICIAL_SPLITS,
    Indices,
    Sides,
    assign_folds,
    assign_numbered_groups,
    hold_out,
    sides_of_column,
    sides_of_fold,
    sides_of_official,
)
from harness.keeper import Keeper
from harness.patience import Monitor
from harness.tasks.base import Context, Row, Task, Work
from harness.tasks.classifier import Classifier, Lesson
from harness.tasks.scores import Scores
from harness.train import train

if TYPE_CHECKING:
    from harness.point import Point

# How a pixel p, 0 to 255, enters the network: (p - shift) / scale.
NORMALISE: dict[str, tuple[float, float]] = {
    "minus_128": (128.0, 1.0),  # the published TT-RNN experiments on UCF11
    "over_128": (0.0, 128.0),  # the toolkit of TR-LSTM's author
    "centred": (128.0, 128.0),
    "unit": (0.0, 255.0),
}
# split -> the column of what is never on both sides.
UNITS = {"group": "group", "clip": "clip_id", "supergroup": "supergroup"}
SPLITS = (*UNITS, "leave_one_group_out", "official", "column")
SAMPLINGS = ("even", "random")

# UCF11 as published, for planning without the data.
PUBLISHED_CLIPS = 1600
PUBLISHED_TIME_STEPS = 6
# Tensor operations of a training step (forward, backward, Adam), counted for LSTMs.
CALLS_A_STEP = 90
CALLS_A_TIME_STEP = 48
CALLS_A_CORE = 44


def _file_name(path: str) -> str:
    return Path(path).name


@dataclass(frozen=True, kw_only=True)
class Action(Task):
    """Name the class of a clip from its frames, shown to a cell one after the other.

    `frames`: path of a Parquet file with columns `clip_id, label, group, slot, jpeg`, which the
    user brings; a point is the same wherever the file lies, as long as its name is.
    `height`, `width` in pixels, `channels` 1 or 3; `classes`: labels are 0 to classes - 1.
    `time_steps`: frames of a clip; None takes all, and then every clip must have as many.
    `sampling`: `even`, spread over those it has, the same ones always; or `random`, drawn afresh
    whenever a clip is learned from and shown in ascending order (the papers), evenly spread when
    it is tested; then every clip in the file must have as many. `where`: column -> value that a
    row must have to be read. `normalise`: a name in NORMALISE.

    `split`: what never is on both sides, `group` (the same scene), `supergroup` (groups that show
    the same footage, where the file has that column) or `clip`, in `folds` folds stratified by
    class of which `fold` is held out, drawn with `split_seed`; `leave_one_group_out`: UCF11's own,
    the groups with the number of rank `fold`; `official`: HMDB51's, its column
    hmdb_split1, 2 or 3 for `fold` 0, 1 or 2; or `column`: the clips whose `split_column` says
    "train" are trained on, all others tested on.
    `validation`: hold a part of the training side out, by whose accuracy a run may stop early;
    one of `folds` parts, of whole groups (of clips, where the split is by clip).

    Raises ValueError for a value out of its range. Source: BT Fig. 6, TR Table 1.
    """

    name: ClassVar[str] = "action"
    uses_cell: ClassVar[bool] = True
    trains: ClassVar[bool] = True

    frames: str = field(default="", metadata={"identity": _file_name})
    height: int = 120
    width: int = 160
    channels: int = 3
    classes: int = 11
    time_steps: int | None = None
    where: Any = ()
    normalise: str = "centred"
    split: str = "group"
    split_column: str = ""
    folds: int = 5
    fold: int = 0
    split_seed: int = 0
    validation: bool = False
    sampling: str = "even"

    def __post_init__(self) -> None:
        if not isinstance(self.frames, str):
            raise ValueError(f"task.frames must be the path of a file, got {self.frames!r}")
        for name in ("height", "width", "classes"):
            positive_int(f"task.{name}", getattr(self, name))
        one_of("task.channels", self.channels, (1, 3))
        if self.time_steps is not None:
            positive_int("task.time_steps", self.time_steps)
        one_of("task.normalise", self.normalise, NORMALISE)
        one_of("task.split", self.split, SPLITS)
        if self.split == "column" and not self.split_column:
            raise ValueError("task.split=column needs task.split_column, a column of the file")
        one_of("task.validation", self.validation, (True, False))
        one_of("task.sampling", self.sampling, SAMPLINGS)
        self._check_folds()
        object.__setattr__(self, "where", _pairs(self.where))

    def sizes(self) -> tuple[int, None]:
        return self.height * self.width * self.channels, None

    def check(self, point: Point) -> None:
        if point.cell is None:
            raise ValueError("task action needs a cell, e.g. cell.name=lstm cell.hidden_size=256")
        if point.training is None:
            raise ValueError("task action needs training settings")
        wanted = (self.sizes()[0], point.cell.hidden_size * point.cell.gates)
        got = (point.layer.in_features, point.layer.out_features)
        if got != wanted:
            raise ValueError(
                f"task action with this cell needs a layer from {wanted[0]} to {wanted[1]}"
                f" features (gates included), got one from {got[0]} to {got[1]}"
            )

    def monitor(self) -> Monitor | None:
        return ("validation_accuracy", "maximize") if self.validation else None

    def describe(self) -> dict[str, Any]:
        column = f":{self.split_column}" if self.split == "column" else ""
        return {"split": self.split + column}

    def missing(self) -> str | None:
        if not self.frames:
            return "task.frames is not set: give a Parquet of JPEG frames, e.g. task.frames=PATH"
        if not self._path.is_file():
            return f"frames file {self.frames} does not exist"
        return None

    def work(self, point: Point) -> Work:
        """As if the data were UCF11 as published, since it is not read for planning."""
        assert point.cell is not None
        assert point.training is not None
        batch, steps = point.training.batch_size, self.time_steps or PUBLISHED_TIME_STEPS
        batches = math.ceil(PUBLISHED_CLIPS * (self.folds - 1) / self.folds / batch)
        calls = CALLS_A_STEP + CALLS_A_TIME_STEP * steps + CALLS_A_CORE * len(point.layer.cores())
        return Work(
            flops=3.0 * point.layer.cost(batch * steps).flops,
            calls=calls,
            steps=point.training.epochs * batches,
        )

    def run(self, point: Point, context: Context) -> Iterator[Row]:
        assert point.training is not None
        clips = self.clips()
        labels, sides = self.labels(clips), self.sides(clips)
        model = Classifier(point, context, self.classes, NORMALISE[self.normalise])
        model_params = sum(parameter.numel() for parameter in model.parameters())
        steps = self._shown(clips)
        input_map = model.cell.input_map.facts(point.training.batch_size * steps)
        yield "runs", {**self._facts(clips, sides), **input_map, "model_params": model_params}
        shown = None if self.sampling == "even" else self.time_steps
        lesson = Lesson(model, clips.frames, labels, sides, point.training, context, shown)
        execution = Execution(point.compute, context.device, point.dtype)
        keeper = Keeper(context.checkpoint, data=clips.data_hash, order=lesson.order)
        scores = Scores(len(sides.test))
        for record in train(
            model,
            point.training,
            batches=lesson.batches,
            loss=lesson.loss,
            evaluate=lesson.evaluate,
            execution=execution,
            keeper=keeper,
            monitor=self.monitor(),
        ):
            yield "epochs", record
            kept = {**scores.add(record), "data_wait_share": lesson.feed.wait_share}
            yield "runs", {**kept, **execution.facts(), **keeper.facts()}

    def clips(self) -> Clips:
        """The decoded clips of the file.

        Raises ValueError for a file that is not there or cannot be used.
        """
        missing = self.missing()
        if missing:
            raise ValueError(missing)
        decoding = Decoding(
            height=self.height,
            width=self.width,
            channels=self.channels,
            time_steps=self.time_steps if self.sampling == "even" else None,
            where=self.where,
        )
        return load_clips(self._path, decoding)

    def labels(self, clips: Clips) -> Int64[Tensor, " c"]:
        """The class of every clip.

        Raises ValueError for a label that is none of `classes`.
        """
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
        """The sides of every clip, as `split` and `validation` ask.

        Raises ValueError where a side would be empty, or a column is not there.
        """
        train, test = self._two_sides(clips)
        if not self.validation:
            return Sides(train=train, test=test, validation=train[:0])
        groups = clips.column(UNITS.get(self.split, "group")).tolist()
        labels = clips.column("label").tolist()
        train, validation = hold_out(train, groups, labels, self.folds, self.split_seed)
        return Sides(train=train, test=test, validation=validation)

    def _two_sides(self, clips: Clips) -> tuple[Indices, Indices]:
        if self.split == "column":
            return sides_of_column(self.split_column, clips.column(self.split_column).tolist())
        if self.split == "official":
            name = f"hmdb_split{self.fold + 1}"
            return sides_of_official(name, clips.column(name).tolist())
        if self.split == "leave_one_group_out":
            folds = assign_numbered_groups(clips.column("group").tolist())
            return sides_of_fold(folds, self.fold)
        groups = clips.column(UNITS[self.split]).tolist()
        labels = clips.column("label").tolist()
        return sides_of_fold(assign_folds(groups, labels, self.folds, self.split_seed), self.fold)

    def _shown(self, clips: Clips) -> int:
        """Frames of a clip that the cell sees.

        Raises ValueError where more are asked for than are stored.
        """
        shown = self.time_steps or clips.time_steps
        if shown > clips.time_steps:
            raise ValueError(
                f"task.time_steps must be at most {clips.time_steps}, the frames of every clip,"
                f" got {shown}"
            )
        return shown

    @property
    def _path(self) -> Path:
        return Path(self.frames).expanduser()

    def _check_folds(self) -> None:
        _whole("task.folds", self.folds, 2)
        _whole("task.split_seed", self.split_seed, 0)
        _whole("task.fold", self.fold, 0)
        if self.split == "official":
            one_of("task.fold (with split official)", self.fold, tuple(range(OFFICIAL_SPLITS)))
        elif self.split != "leave_one_group_out" and self.fold >= self.folds:
            raise ValueError(
                f"task.fold must be less than task.folds, got {self.fold} of {self.folds}"
            )

    def _facts(self, clips: Clips, sides: Sides) -> dict[str, Any]:
        return {
            **self.describe(),
            "dataset": self._path.stem,
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


def _whole(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")


def _pairs(where: Any) -> tuple[tuple[str, Any], ...]:
    """The (column, value) pairs of a mapping, in the order of the columns."""
    items = where.items() if isinstance(where, Mapping) else where
    try:
        pairs = tuple(sorted((column, value) for column, value in items))
    except (TypeError, ValueError):
        pairs = ((None, None),)
    for column, value in pairs:
        if not isinstance(column, str) or not isinstance(value, str | int | float):
            raise ValueError(f"task.where must map columns to single values, got {where!r}")
    return pairs

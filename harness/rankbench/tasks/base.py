"""Base classes of tasks: `Task`, and `Point`, a task with everything else but the seed.

A task knows its sizes before any data is read, and its `run` yields rows of results as soon as they
are measured.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rankbench.cells.settings import Cell
from rankbench.layers import Layer
from rankbench.training.checkpoint import Checkpoint
from rankbench.training.early_stopping import Monitor
from rankbench.training.settings import Compute, Diverged, Training

Row = tuple[str, dict[str, Any]]
Replicate = tuple[int, Row | Diverged]


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a run needs besides its point."""

    seed: int
    """Seed of the run: initial weights, order of batches, dropout."""
    device: str = "cpu"
    """Torch device: cpu or cuda."""
    threads: int = 1
    """Number of torch threads."""
    checkpoint: Checkpoint | None = None
    """Where a training saves its state; None saves nothing."""


@dataclass(frozen=True, kw_only=True)
class RunCost:
    """The size of a run, from which its duration is estimated.

    The cost of evaluation is divided among the training steps.
    """

    flops: float
    """FLOPs of one step, forward and backward."""
    calls: int
    """Tensor operations of one step, forward and backward."""
    steps: int
    """Number of training steps."""
    values: int = 0
    """Input values normalised in one step; for video this takes as long as the layer."""
    masked: int = 0
    """Input values to which one step applies dropout."""


class Task(ABC):
    """What a layer learns, or what is measured of it.

    A task is a frozen dataclass of settings that validates itself. To add one, write a subclass in
    a file of its own and list it in TASKS.
    """

    name: ClassVar[str]
    """Key in TASKS, stored with every result; never change it."""
    uses_cell: ClassVar[bool]
    """Whether the layer may be the input map of a recurrent cell."""
    trains: ClassVar[bool]
    """Whether the task has training settings."""
    trains_together: ClassVar[bool] = False
    """Whether the task implements `run_together`."""

    @abstractmethod
    def sizes(self) -> tuple[int, int | None]:
        """Return the layer's input and output features, without reading any data.

        Returns:
            Both sizes; the second is None if the cell's hidden size determines it.
        """

    @abstractmethod
    def check(self, point: Point) -> None:
        """Raise ValueError if the parts of a point do not fit together."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return the columns of `runs` that identify the task and its settings."""

    @abstractmethod
    def run_cost(self, point: Point) -> RunCost:
        """Estimate the size of a run, without reading any data."""

    def rows(self, point: Point) -> int:
        """Return the rows (batch * time) that the layer sees in one forward pass."""
        return 1

    @abstractmethod
    def run(self, point: Point, context: Context) -> Iterator[Row]:
        """Measure a point with one seed, and yield each row as soon as it is known.

        The worker merges all rows of `runs` into one, and adds the study and run_id to the others.
        A row of `artifacts` is a file, with `name` and `content` in bytes, which is stored when the
        run is done.

        Yields:
            Pairs of a table's name and a row of it.

        Raises:
            Diverged: The training diverged.
            ValueError: The data is missing or cannot be used.
        """

    def run_together(
        self, point: Point, contexts: Sequence[Context]
    ) -> Iterator[Sequence[Replicate]]:
        """Run several replicates of a point as one program.

        Each replicate yields what `run` would yield for its context, within rounding. A replicate
        that diverges yields a Diverged and nothing after it; the others continue.

        Yields:
            What becomes known at one time: pairs of the index of a context and a row.
        """
        raise NotImplementedError(f"task {self.name} runs one replicate at a time")

    def monitor(self) -> Monitor | None:
        """Return the column of `epochs` that early stopping and pruning use, and its direction.

        The column must not come from the test side, and `run` must yield the row of `epochs` before
        the row of `runs` that belongs to it. None means that the task has no validation curve.
        """
        return None

    def times(self) -> bool:
        """Return whether a run measures time, and so should have the machine to itself."""
        return False

    def missing(self) -> str | None:
        """Return one line about data that cannot be found; None if a run can start."""
        return None


@dataclass(frozen=True, kw_only=True)
class Point:
    """Everything that determines a run except its seed.

    Raises:
        ValueError: The parts do not fit together.
    """

    task: Task
    """What is learned or measured."""
    layer: Layer
    """The compressed map."""
    cell: Cell | None = None
    """The cell whose input map is the layer; None for a task on the layer alone."""
    training: Training | None = None
    """Training settings; None for a task that trains nothing."""
    dtype: str = "float32"
    """Type of weights and data: float32, float64 or bfloat16."""
    compute: Compute = dataclasses.field(default_factory=Compute)
    """How steps are executed: precision, compilation, CUDA graphs."""

    def __post_init__(self) -> None:
        self.compute.check(self.dtype)
        self.task.check(self)
        stops = self.training is not None and self.training.patience is not None
        if stops and self.task.monitor() is None:
            raise ValueError(
                f"training.patience needs a validation curve, which task {self.task.name} does not"
                " have here, and a run never stops by its test side; task action has one with"
                " task.validation=true, task recovery always"
            )

    def config(self) -> dict[str, Any]:
        """Return all settings as JSON values, under task, layer, cell, training and compute."""
        return self._parts(changed_only=False)

    @property
    def point_id(self) -> str:
        """The id of the point: 16 hex digits of the SHA-256 of its non-default settings.

        Defaults are left out, so that a new setting does not change the ids of older results.
        """
        return digest(json.dumps(self._parts(changed_only=True), sort_keys=True))

    def run_id(self, seed: int) -> str:
        """Return the id of the run with `seed`: 16 hex digits of the SHA-256 of point and seed."""
        return digest(f"{self.point_id}:{seed}")

    def _parts(self, *, changed_only: bool) -> dict[str, Any]:
        parts: dict[str, Any] = {
            "task": {"name": self.task.name, **_settings(self.task, changed_only)},
            "layer": {"decomposition": self.layer.name, **_settings(self.layer, changed_only)},
        }
        if self.cell is not None:
            parts["cell"] = {"name": self.cell.name, **_settings(self.cell, changed_only)}
        if self.training is not None:
            parts["training"] = _settings(self.training, changed_only)
        if not (changed_only and self.dtype == "float32"):
            parts["dtype"] = self.dtype
        if not (changed_only and self.compute == Compute()):
            parts["compute"] = _settings(self.compute, changed_only)
        return parts


def _settings(part: Any, changed_only: bool) -> dict[str, Any]:
    """Return the fields of a dataclass as a dict, all of them or those that make up the id.

    Metadata of a field control what enters the id. `identity` is a function whose result replaces
    the value, or None if the setting is not part of the id. `unsaid` is the value that is left out
    instead of the default; a setting needs it if its default has changed.
    """
    values = {}
    for field in dataclasses.fields(part):
        value, identity = getattr(part, field.name), field.metadata.get("identity", _same)
        unsaid = field.metadata.get("unsaid", field.default)
        if changed_only and (identity is None or value == unsaid):
            continue
        values[field.name] = identity(value) if identity else value
    return values


def _same(value: Any) -> Any:
    return value


def digest(text: str) -> str:
    """Return the first 16 hex digits of the SHA-256 of `text`."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]

"""What every task offers: its sizes before any data is read, and a run that yields rows."""

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
    """What a run is given besides its point: seed, torch device, number of threads.

    `checkpoint`: where a long training keeps its state, None to keep nothing.
    """

    seed: int
    device: str = "cpu"
    threads: int = 1
    checkpoint: Checkpoint | None = None


@dataclass(frozen=True, kw_only=True)
class RunCost:
    """What a run will execute, for an estimate of its time.

    `flops` and `calls` of one step (forward and backward, FLOPs and tensor operations), the
    number of `steps`, and what happens to the input of a step before the layer sees it, which for
    video takes as long as the layer: how many `values` are normalised, how many `masked` by
    dropout. What evaluation adds is spread over the steps.
    """

    flops: float
    calls: int
    steps: int
    values: int = 0
    masked: int = 0


class Task(ABC):
    """What is learned or measured; a frozen dataclass of settings that checks itself."""

    name: ClassVar[str]
    uses_cell: ClassVar[bool]  # whether the map feeds a recurrent cell or stands alone
    trains: ClassVar[bool]
    trains_together: ClassVar[bool] = False  # whether it has `run_together`

    @abstractmethod
    def sizes(self) -> tuple[int, int | None]:
        """Features in and out of the map; None where the cell's hidden size decides."""

    @abstractmethod
    def check(self, point: Point) -> None:
        """Raise ValueError where the parts of a point do not fit together."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """The `runs` columns that say which task this is."""

    @abstractmethod
    def run_cost(self, point: Point) -> RunCost:
        """The size of a run, known without any data."""

    def rows(self, point: Point) -> int:
        """Rows (batch * time) of a forward pass, by which its cost is known beforehand."""
        return 1

    @abstractmethod
    def run(self, point: Point, context: Context) -> Iterator[Row]:
        """Measure, yielding (table, row) as each is known.

        Rows of `runs` are merged into one; the others gain study and run_id. A row of `artifacts`
        is a file to be stored beside a run that is done: its name, and its content in bytes.

        Raises Diverged when training does, ValueError for data that cannot be used.
        """

    def run_together(
        self, point: Point, contexts: Sequence[Context]
    ) -> Iterator[Sequence[Replicate]]:
        """Run replicates as one program: for each context what `run` yields, within rounding.

        Yields what becomes known at one time, each with the place of its context. A replicate
        that diverges yields its Diverged and then nothing; the others go on.
        """
        raise NotImplementedError(f"task {self.name} runs one replicate at a time")

    def monitor(self) -> Monitor | None:
        """The metric of a record by which training may be stopped early; None without one.

        It is never of the test side. Its row of `epochs` comes before that record's row of `runs`.
        """
        return None

    def times(self) -> bool:
        """Whether time is what a run measures, so that it should have the machine alone."""
        return False

    def missing(self) -> str | None:
        """One line on data that is not there, None when a run can start."""
        return None


@dataclass(frozen=True, kw_only=True)
class Point:
    """A task, a layer, a cell, a training and a compute: everything about a run but its seed.

    `cell` is None for a task that learns or measures a bare map, `training` None for one that
    learns nothing. `dtype` is the type of weights and data, `compute` how steps are executed.

    Raises ValueError where the parts do not fit together.
    """

    task: Task
    layer: Layer
    cell: Cell | None = None
    training: Training | None = None
    dtype: str = "float32"
    compute: Compute = dataclasses.field(default_factory=Compute)

    def __post_init__(self) -> None:
        self.compute.check(self.dtype)
        self.task.check(self)
        stops = self.training is not None and self.training.patience is not None
        if stops and self.task.monitor() is None:
            raise ValueError(
                f"training.patience needs a validation curve, which task {self.task.name} does not"
                " have here: never stop on the test side; task action has one with"
                " task.validation=true, task recovery always"
            )

    def config(self) -> dict[str, Any]:
        """Every setting, as plain JSON values, under task, layer, cell, training and compute."""
        return self._parts(changed_only=False)

    @property
    def point_id(self) -> str:
        """16 hex digits of the SHA-256 of the settings that differ from their defaults.

        Leaving the defaults out lets a release add a setting without renaming old results.
        """
        return digest(json.dumps(self._parts(changed_only=True), sort_keys=True))

    def run_id(self, seed: int) -> str:
        """16 hex digits of the SHA-256 of the point and `seed`."""
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
    """The fields of a dataclass; the metadata of a field say what of it counts for a point's id.

    `identity`, a function: its result, in place of the value; None: nothing, the setting is no
    part of the id. `unsaid`: the value that is left out in place of the default, where the
    default has changed since.
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
    """16 hex digits of the SHA-256 of `text`."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]

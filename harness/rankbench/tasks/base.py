"""What every task offers: its sizes before any data is read, and a run that yields rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from rankbench.training.checkpoint import Checkpoint
from rankbench.training.early_stopping import Monitor
from rankbench.training.loop import Diverged

if TYPE_CHECKING:
    from rankbench.tasks.point import Point

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
class Work:
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
    def work(self, point: Point) -> Work:
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

"""Execute runs in this process: a point with a seed or several, as rows of every table."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from rankbench.tasks.base import Context, Point, Row
from rankbench.training.settings import Diverged

# What torch says, in no exception of its own: its allocator on a CPU, a driver, a library.
_NO_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "bad_alloc",
    "out of memory",
    "STATUS_ALLOC_FAILED",
)


@dataclass(kw_only=True)
class Outcome:
    """How a run ended, every row it yielded until then, and the files by name."""

    status: str = "killed"
    error: str | None = None
    traceback: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def add(self, table: str, row: dict[str, Any]) -> None:
        """Keep a row; those of `runs` are merged into `facts`, later values winning.

        A row of `artifacts` is a file, of which the last of a name is kept.
        """
        if table == "runs":
            self.facts.update(row)
        elif table == "artifacts":
            self.files[row["name"]] = row["content"]
        else:
            self.tables.setdefault(table, []).append(row)

    def end(self, status: str, error: str | None = None, traceback: str | None = None) -> None:
        """The run has ended, and why."""
        self.status, self.error, self.traceback = status, error, traceback


def execute(point: Point, context: Context) -> Iterator[Row]:
    """Run the task of `point`, yielding rows, the last a ("end", {status, error, traceback}).

    Whatever the task raises ends the run with a status, never with an exception.
    """
    import torch

    torch.set_num_threads(context.threads)
    try:
        yield from point.task.run(point, context)
        yield _end("done")
    except Exception as error:
        yield _failed(error)


def execute_together(
    point: Point, contexts: Sequence[Context]
) -> Iterator[Sequence[tuple[int, Row]]]:
    """`execute` for replicates of one program: rows with the places of their contexts.

    A replicate that diverges ends alone; whatever the program raises ends all that have not.
    """
    import torch

    torch.set_num_threads(contexts[0].threads)
    running = list(range(len(contexts)))
    try:
        for rows in point.task.run_together(point, contexts):
            ends = {place: _failed(row) for place, row in rows if isinstance(row, Diverged)}
            running = [place for place in running if place not in ends]
            yield [(place, row) for place, row in rows if not isinstance(row, Diverged)]
            yield list(ends.items())
        end = _end("done")
    except Exception as error:
        end = _failed(error)
    yield [(place, end) for place in running]


def _failed(error: Exception) -> Row:
    """The end of a run that raised: the study goes on, the row says what happened."""
    if isinstance(error, Diverged):
        return _end("diverged", error)
    status = "out_of_memory" if _out_of_memory(error) else "error"
    return _end(status, error, "".join(traceback.format_exception(error)))


def _end(status: str, error: BaseException | None = None, trace: str | None = None) -> Row:
    message = None
    if error is not None:
        first = (str(error) or type(error).__name__).strip().splitlines()[0]
        expected = isinstance(error, ValueError | Diverged)
        message = first if expected else f"{type(error).__name__}: {first}"
    return "end", {"status": status, "error": message, "traceback": trace}


def _out_of_memory(error: Exception) -> bool:
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _NO_MEMORY)

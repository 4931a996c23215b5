"""Execute runs in the current process, and turn every result or exception into rows."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from rankbench.tasks.base import Context, Point, Row
from rankbench.training.settings import Diverged

# Parts of the messages of RuntimeErrors by which torch reports that memory has run out.
_NO_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "bad_alloc",
    "out of memory",
    "STATUS_ALLOC_FAILED",
)


@dataclass(kw_only=True)
class Outcome:
    """What a run has yielded, and how it ended."""

    status: str = "killed"
    """Status of the run; killed until the run has ended."""
    error: str | None = None
    """One line about what went wrong."""
    traceback: str | None = None
    """Traceback of an unexpected exception."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Columns of the run's row of `runs`."""
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Rows of all other tables."""
    files: dict[str, bytes] = field(default_factory=dict)
    """Contents of the run's files, by name."""

    def add(self, table: str, row: dict[str, Any]) -> None:
        """Add a row.

        Rows of `runs` are merged into `facts`; later values replace earlier ones. A row of
        `artifacts` is a file, which replaces an earlier one with the same name.
        """
        if table == "runs":
            self.facts.update(row)
        elif table == "artifacts":
            self.files[row["name"]] = row["content"]
        else:
            self.tables.setdefault(table, []).append(row)

    def end(self, status: str, error: str | None = None, traceback: str | None = None) -> None:
        """Set how the run ended, and why."""
        self.status, self.error, self.traceback = status, error, traceback


def execute(point: Point, context: Context) -> Iterator[Row]:
    """Run the task of a point with one seed.

    An exception of the task ends the run with a status; it is not raised.

    Yields:
        The task's rows, and finally ("end", {status, error, traceback}).
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
    """Run several replicates of a point as one program.

    A replicate that diverges ends alone. An exception ends all replicates that have not ended.

    Yields:
        Lists of pairs: the index of a context, and a row as `execute` yields it.
    """
    import torch

    torch.set_num_threads(contexts[0].threads)
    running = list(range(len(contexts)))
    try:
        for rows in point.task.run_together(point, contexts):
            ends = {index: _failed(row) for index, row in rows if isinstance(row, Diverged)}
            running = [index for index in running if index not in ends]
            yield [(index, row) for index, row in rows if not isinstance(row, Diverged)]
            yield list(ends.items())
        end = _end("done")
    except Exception as error:
        end = _failed(error)
    yield [(index, end) for index in running]


def _failed(error: Exception) -> Row:
    """Turn an exception into the final row of a run, so that the study can continue."""
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

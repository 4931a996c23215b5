"""Execute runs in this process: a point with a seed or several, as rows of every table."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from rankbench.layers import Layer
from rankbench.tasks.base import Context, Row
from rankbench.tasks.point import Point
from rankbench.training.loop import Diverged

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


def point_facts(point: Point) -> dict[str, Any]:
    """The `runs` columns known before anything is measured."""
    return {
        "point_id": point.point_id,
        "task": point.task.name,
        **point.task.describe(),
        **layer_facts(point.layer),
        "cell": point.cell.name if point.cell else None,
        "hidden_size": point.cell.hidden_size if point.cell else None,
        "dtype": point.dtype,
    }


# Columns of numbers that a point alone tells.
KNOWN = (
    *("num_params", "compression_ratio", "forward_flops", "largest_intermediate", "rows"),
    *("dense_params", "in_features", "out_features", "core_order", "hidden_size"),
    *("rank", "cp_rank", "tucker_rank", "tt_rank", "tr_rank"),
)


def known_number(point: Point, column: str) -> float | None:
    """The value of a column in KNOWN; None where a point has none, such as another layer's rank.

    FLOPs and intermediates are those of `Layer.cost` over the rows of the task's forward pass.
    """
    rows = point.task.rows(point)
    if column == "rows":
        return rows
    if column in ("forward_flops", "largest_intermediate"):
        cost = point.layer.cost(rows)
        return cost.flops if column == "forward_flops" else cost.largest_intermediate
    value = point_facts(point).get(column)
    return None if value is None else float(value)


def layer_facts(layer: Layer) -> dict[str, Any]:
    """The `runs` columns that say which layer this is and what it costs."""
    largest = {name: _largest(getattr(layer, name)) for name in layer.RANKS}
    return {
        "decomposition": layer.name,
        "core_order": layer.core_order,
        "in_modes": list(layer.in_modes),
        "out_modes": list(layer.out_modes),
        "in_features": layer.in_features,
        "out_features": layer.out_features,
        # The columns tt_rank and tr_rank hold the largest of tt_ranks and tr_ranks.
        **{name.removesuffix("s"): value for name, value in largest.items()},
        "ranks": list(layer.ranks),
        "plan": layer.plan,
        "num_params": layer.num_params,
        "dense_params": layer.dense_params,
        "compression_ratio": layer.compression_ratio,
    }


def _largest(rank: int | tuple[int, ...]) -> int:
    return max(rank) if isinstance(rank, tuple) else rank


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
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _NO_MEMORY)

"""Execute one run in this process: a point with a seed, as rows of every table."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from harness.layers import Layer
from harness.point import Point
from harness.tasks.base import Context, Row
from harness.train import Diverged


@dataclass(kw_only=True)
class Outcome:
    """How a run ended, and every row it yielded until then."""

    status: str = "killed"
    error: str | None = None
    traceback: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, table: str, row: dict[str, Any]) -> None:
        """Keep a row; those of `runs` are merged into `facts`, later values winning."""
        if table == "runs":
            self.facts.update(row)
        else:
            self.tables.setdefault(table, []).append(row)


def execute(point: Point, context: Context) -> Iterator[Row]:
    """Run the task of `point`, yielding rows, the last a ("end", {status, error, traceback}).

    Whatever the task raises ends the run with a status, never with an exception.
    """
    torch.set_num_threads(context.threads)
    try:
        yield from point.task.run(point, context)
        yield _end("done")
    except Diverged as stop:
        yield _end("diverged", stop)
    except MemoryError as error:
        yield _end("out_of_memory", error, traceback.format_exc())
    except Exception as error:
        # The boundary of a run: the study goes on, the row says what happened.
        status = "out_of_memory" if _out_of_memory(error) else "error"
        yield _end(status, error, traceback.format_exc())


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


def _end(status: str, error: BaseException | None = None, trace: str | None = None) -> Row:
    message = None
    if error is not None:
        first = (str(error) or type(error).__name__).strip().splitlines()[0]
        expected = isinstance(error, ValueError | Diverged)
        message = first if expected else f"{type(error).__name__}: {first}"
    return "end", {"status": status, "error": message, "traceback": trace}


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)

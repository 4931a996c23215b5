"""Columns of `runs` that follow from the point alone, before anything is measured."""

from __future__ import annotations

from typing import Any

from rankbench.layers import Layer
from rankbench.layers.planning.choice import cost as layer_cost
from rankbench.tasks.base import Point


def point_facts(point: Point) -> dict[str, Any]:
    """Return the columns of `runs` that follow from the point alone."""
    return {
        "point_id": point.point_id,
        "task": point.task.name,
        **point.task.describe(),
        **layer_facts(point.layer),
        "cell": point.cell.name if point.cell else None,
        "hidden_size": point.cell.hidden_size if point.cell else None,
        "dtype": point.dtype,
    }


# Numeric columns that follow from the point alone; the keys of `search.limits`.
KNOWN = (
    *("num_params", "compression_ratio", "forward_flops", "largest_intermediate", "rows"),
    *("dense_params", "in_features", "out_features", "core_order", "hidden_size"),
    *("rank", "cp_rank", "tucker_rank", "tt_rank", "tr_rank"),
)


def known_number(point: Point, column: str) -> float | None:
    """Return the value of a column in KNOWN for a point.

    FLOPs and intermediates are those of the planned contraction over the rows that the layer sees
    in one forward pass.

    Returns:
        The value; None if the point has none, such as the rank of another decomposition.
    """
    rows = point.task.rows(point)
    if column == "rows":
        return rows
    if column in ("forward_flops", "largest_intermediate"):
        cost = layer_cost(point.layer, rows)
        return cost.flops if column == "forward_flops" else cost.largest_intermediate
    value = point_facts(point).get(column)
    return None if value is None else float(value)


def layer_facts(layer: Layer) -> dict[str, Any]:
    """Return the columns of `runs` that describe a layer: sizes, ranks and parameters."""
    largest = {name: _largest(getattr(layer, name)) for name in layer.RANKS}
    return {
        "decomposition": layer.name,
        "core_order": layer.core_order,
        "in_modes": list(layer.in_modes),
        "out_modes": list(layer.out_modes),
        "in_features": layer.in_features,
        "out_features": layer.out_features,
        # The columns tt_rank and tr_rank have the largest of tt_ranks and tr_ranks.
        **{name.removesuffix("s"): value for name, value in largest.items()},
        "ranks": list(layer.ranks),
        "plan": layer.plan,
        "num_params": layer.num_params,
        "dense_params": layer.dense_params,
        "compression_ratio": layer.compression_ratio,
    }


def _largest(rank: int | tuple[int, ...]) -> int:
    return max(rank) if isinstance(rank, tuple) else rank

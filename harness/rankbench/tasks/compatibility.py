"""Check that the parts of a point fit a task that trains a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rankbench.tasks.base import Point, Task


def check_cell(task: Task, point: Point) -> None:
    """Raise ValueError unless the point has a cell, training settings and a layer that fits."""
    if point.cell is None:
        raise ValueError(
            f"task {task.name} needs a cell, such as cell.name=lstm cell.hidden_size=256; got none"
        )
    if point.training is None:
        raise ValueError(f"task {task.name} needs training settings, got none")
    wanted = (task.sizes()[0], point.cell.hidden_size * point.cell.gates)
    got = (point.layer.in_features, point.layer.out_features)
    if got != wanted:
        raise ValueError(
            f"task {task.name} with this cell needs a layer from {wanted[0]} to {wanted[1]}"
            f" features (gates included), got one from {got[0]} to {got[1]}"
        )

"""Find the Pareto front of measured points, and the share of the possible that it dominates.

Letters: n points, k objectives. All objectives are costs: smaller is better.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Costs = NDArray[np.float64]


def costs_of(values: Sequence[Sequence[float]] | NDArray[Any], directions: Sequence[str]) -> Costs:
    """Convert objective values to costs, by changing the sign of those to maximise.

    Args:
        values: the objectives of every point, shape (n, k).
        directions: "minimize" or "maximize" for each of the k objectives.

    Returns:
        The costs, shape (n, k).
    """
    signs = [1.0 if direction == "minimize" else -1.0 for direction in directions]
    return np.asarray(values, dtype=np.float64).reshape(len(values), len(signs)) * signs


def front(costs: Costs) -> list[int]:
    """Return the indices of the points that no other point dominates, in ascending order.

    A point dominates another if it is at least as good in every objective and better in one. Equal
    points do not dominate each other: all of them are on the front. The running time is
    proportional to n times the points on the front.

    Args:
        costs: the costs of every point, shape (n, k).

    Example:
        >>> front(np.array([[1.0, 4.0], [2.0, 2.0], [3.0, 3.0]]))
        [0, 1]
    """
    # The point with the least sum of ranks is never dominated. Sums of ranks, unlike sums of
    # costs, are exact.
    ranks = np.column_stack([np.unique(column, return_inverse=True)[1] for column in costs.T])
    left = np.argsort(ranks.sum(axis=1), kind="stable")
    kept = []
    while left.size:
        best, left = left[0], left[1:]
        kept.append(int(best))
        dominated = (ranks[left] >= ranks[best]).all(1) & (ranks[left] > ranks[best]).any(1)
        left = left[~dominated]
    return sorted(kept)


def dominated_share(costs: Costs) -> float:
    """Return the share, 0 to 1, of the box of all costs that the front dominates.

    The box reaches from the best to the worst cost in every objective. The share is the
    hypervolume of the front after each objective is scaled to [0, 1] over all points. An
    objective that is equal for all points is left out; the share is 1 where all of them are.

    Args:
        costs: the costs of every point, shape (n, k).
    """
    low, width = costs.min(axis=0), np.ptp(costs, axis=0)
    varied = width > 0
    if not varied.any():
        return 1.0
    unit = (costs[:, varied] - low[varied]) / width[varied]
    return _volume(unit[front(unit)])


def _volume(points: Costs) -> float:
    """Return the volume of the unit box that `points` dominate, in slices along the last axis."""
    if points.shape[1] == 1:
        return float(1.0 - points.min())
    points = points[np.argsort(points[:, -1], kind="stable")]
    depths = np.diff(np.append(points[:, -1], 1.0))
    slices = (depth * _volume(points[: i + 1, :-1]) for i, depth in enumerate(depths) if depth > 0)
    return float(sum(slices))
